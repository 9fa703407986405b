"""What the commands share: arguments, admission, help, exit codes and the live table."""
