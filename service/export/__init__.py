"""All postings behind filters, as a file."""
