"""What people see at the end: files rendered from results that are already computed."""
