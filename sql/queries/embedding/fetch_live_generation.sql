-- The generation that searches use.
select
    g.id, g.provider, g.model, g.digest, g.dimensions, g.max_tokens, g.query_template, g.document_template,
    g.passage_tokens, g.passage_overlap, g.similarity_floor, g.coverage_weight
from live_generation l
join generation g on g.id = l.generation
