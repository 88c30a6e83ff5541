-- Settings of the roles that the login role may become, as far as it may set them itself.
select json_build_array(r.rolname, json_agg(json_build_array(c.name, c.value)))
from pg_auth_members m
join pg_roles r on r.oid = m.roleid
cross join lateral (
    select split_part(item, '=', 1) as name, substr(item, strpos(item, '=') + 1) as value
    from unnest(r.rolconfig) item
) c
join pg_settings s on s.name = c.name
where m.member = (select oid from pg_roles where rolname = current_user)
    and (s.context = 'user' or has_parameter_privilege(current_user, s.name, 'set'))
group by r.rolname
