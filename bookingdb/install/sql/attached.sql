-- Triggers or row policies of ours, their definitions in the form that source.normalise gives those of the files.
select
    e."table",
    e.name,
    replace(replace(
        regexp_replace(lower(e.definition collate "C"), '[[:space:]]+', ' ', 'g'), '( ', '('
    ), ' )', ')') || e.remark as definition
from (
    :existing
) as e
