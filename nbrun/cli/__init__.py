"""The command line: options and their help. Each command imports its work when it is called."""
