-- Copies of our tables that callers can read
select v.name,
    'can be read by ' || array_to_string(v.readers, ' and ') as problem,
    array[format('revoke all on %s from %s', v.name, array_to_string(v.readers, ', '))] as statements
from views as v
where v.relkind = 'm' and v.is_exposed and v.readers <> '{}'
