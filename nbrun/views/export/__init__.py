"""The output notebook, the HTML report and the ticket text."""
