"""Native code that reads what a kernel sent: it runs in a child process with limits."""
