select f.name,
    case f.prokind when 'f' then 'function' when 'p' then 'procedure' else 'aggregate' end as kind,
    pg_get_function_arguments(f.oid) as arguments,
    pg_get_function_result(f.oid) as result,
    l.lanname::text as language,
    case f.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    case when f.prosecdef then 'definer' else 'invoker' end as security,
    f.proisstrict as strict,
    f.proleakproof as leakproof,
    case f.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end as parallel,
    coalesce(f.proconfig, '{}') as settings
from functions as f
inner join pg_language as l on l.oid = f.prolang
order by 1
