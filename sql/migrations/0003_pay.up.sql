-- Pay that can be compared, whatever its period and currency.

-- An amount for a month: 40 hours a week, 5 days a week, 52 weeks a year. Nothing where the period is not said.
create function monthly_pay(p_amount double precision, p_period text)
returns double precision language sql immutable parallel safe as $$
    select case p_period
        when 'month' then p_amount
        when 'year' then p_amount / 12
        when 'week' then p_amount * 52 / 12
        when 'day' then p_amount * 260 / 12
        when 'hour' then p_amount * 2080 / 12
    end
$$;

-- The band of a posting's pay for a month, in its own currency; nothing where the currency, the period or both amounts
-- are missing, since nothing is guessed. A missing end takes the one that is given. These are functions, put in place by
-- the planner, because stored generated columns would rewrite `job` with its indexes while nobody can read it.
create function pay_low(j job) returns double precision language sql immutable parallel safe as $$
    select case when j.currency is not null then monthly_pay(coalesce(j.salary_min, j.salary_max), j.salary_period) end
$$;
create function pay_high(j job) returns double precision language sql immutable parallel safe as $$
    select case when j.currency is not null then monthly_pay(coalesce(j.salary_max, j.salary_min), j.salary_period) end
$$;

-- What one unit of `base` is worth in `quote`, from a moment on; the same for all tenants. Older rates stay, so that it
-- can be told what one was at any moment; one told again for its moment is replaced.
create table exchange_rate (
    base text not null,
    quote text not null,
    valid_at timestamptz not null,
    rate double precision not null,
    source text not null,
    fetched_at timestamptz not null,
    constraint exchange_rate_pkey primary key (base, quote, valid_at),
    constraint exchange_rate_pair_check check (base <> quote and base ~ '^[A-Z]{3}$' and quote ~ '^[A-Z]{3}$'),
    constraint exchange_rate_rate_check check (rate between 1e-9 and 1e9)
);

-- The one definition of what the filters of a search, a list or an export let through, now with pay; the one without goes
-- a release later. For each currency that the filter's band could be converted into, `p_pay_low` and `p_pay_high` hold
-- that band for a month; null arrays are no filter. A posting without comparable pay (no band, or a currency that is not
-- in the arrays) passes only where `p_unpriced` says so.
--
-- It is spelt for the planner, whose estimate of the rows behind the filters chooses between index and full look: a
-- coalesce counts as half of the rows, two comparisons as a ninth, and columns have statistics, which functions have not.
create function job_passes(
    j job, p_source text[], p_company text[], p_location text, p_remote boolean, p_employment_type text[],
    p_posted_after timestamptz, p_posted_before timestamptz, p_active boolean, p_now timestamptz,
    p_pay_currency text[], p_pay_low double precision[], p_pay_high double precision[], p_unpriced boolean
) returns boolean language sql immutable parallel safe as $$
    select (p_source is null or j.source = any (p_source))
       and (p_company is null or j.company_key = any (p_company))
       and (p_location is null or j.location_key = p_location)
       and (p_remote is null or j.remote = p_remote)
       and (p_employment_type is null or j.employment_type = any (p_employment_type))
       and (p_posted_after is null or j.posted_at >= p_posted_after)
       and (p_posted_before is null or j.posted_at < p_posted_before)
       and (p_active is null or p_active = (j.expires_at is null or j.expires_at > p_now))
       and (
           p_pay_currency is null
           or (
               j.currency = any (p_pay_currency)
               and coalesce(
                   pay_high(j) >= p_pay_low[array_position(p_pay_currency, j.currency)]
                   and pay_low(j) <= p_pay_high[array_position(p_pay_currency, j.currency)],
                   false
               )
           )
           or (
               p_unpriced
               and (
                   j.currency is null
                   or j.salary_period is null
                   or (j.salary_min is null and j.salary_max is null)
                   or j.currency <> all (p_pay_currency)
               )
           )
       )
$$;
