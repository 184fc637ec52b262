-- Policies that believe what users write about themselves
-- remedy: {run}, or let it look at app_metadata
select p.name, 'trusts user_metadata, which users can edit' as problem, array[p.removal] as statements
from row_policies as p
where concat(p.qual, ' ', p.with_check) ~ '(auth\.jwt\(\)|current_setting\(.*request\.jwt).*user_metadata'
