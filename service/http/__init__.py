"""The HTTP boundary: strict decoding, problems, the OpenAPI document, and the page that shows it."""
