-- Forgets what rows were ahead of the adoption, where the application spoilt them again: undo puts back its last word.
delete from bookingdb.adoption as a
using bookingdb.adoption as l
where
    a.kind = 'row' and l.kind = 'row'
    and a.id <= :'last' and l.id > :'last'
    and l.object = a.object and l.row_key = a.row_key
    and array(select jsonb_object_keys(l.original)) = array(select jsonb_object_keys(a.original))
