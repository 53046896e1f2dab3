drop function job_passes(
    job, text[], text[], text, boolean, text[], timestamptz, timestamptz, boolean, timestamptz,
    text[], double precision[], double precision[], boolean
);
drop table exchange_rate;
drop function pay_high(job);
drop function pay_low(job);
drop function monthly_pay(double precision, text);
