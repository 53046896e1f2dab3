"""Reading files of postings as boards and scrapers leave them: rows, field names, and cleaning, without a database."""
