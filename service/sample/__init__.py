"""Sample postings of a made-up Kenyan job market, and the generator that writes them."""
