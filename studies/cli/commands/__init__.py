"""What each command does, under the command's name. The file of that name in `studies` imports it late."""
