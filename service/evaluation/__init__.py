"""How good the ranking is: relevance sets, measures and paired tests."""
