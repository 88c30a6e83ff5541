-- Implicit casts by function between a domain and json or text, a row each.
select json_build_array(c.castsource::regtype::text, c.casttarget::regtype::text, c.castfunc::regproc::text)
from pg_cast c
join pg_type s on s.oid = c.castsource
join pg_type t on t.oid = c.casttarget
where c.castcontext = 'i' and c.castmethod = 'f'
    and (
        s.typtype = 'd' and t.oid in ('json'::regtype, 'text'::regtype)
        or t.typtype = 'd' and s.oid in ('json'::regtype, 'text'::regtype)
    )
    and has_function_privilege(c.castfunc, 'execute')
