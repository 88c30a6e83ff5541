-- lower() as a function that may be evaluated before policies. PostgreSQL marks only comparisons as leakproof, so
-- that an index over lower() cannot be used by anybody whom policies apply to; it says nothing of its argument but
-- by its result. Only a superuser may say so of a function. Run by the superuser, repeatable.
create or replace function extensions.leakproof_lower(text) returns text
language internal immutable strict leakproof parallel safe
as 'lower';
