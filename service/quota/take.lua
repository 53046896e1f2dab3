-- Takes calls of a caller's quota, all or none: the same moving window in buckets as in memory.py, in one step of the
-- store and by its clock, so that any number of processes share it. KEYS[1]: a hash of calls by number of the bucket.
-- ARGV: most calls, window in seconds, buckets in a window, calls to take.
-- Gives 1 or 0 (taken), calls that are left, microseconds until a part comes back, and until a refused call would pass.
local most, window, buckets, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local width = window * 1000000 / buckets
local bucket = math.floor(now / width)
local kept = redis.call('HGETALL', KEYS[1])
local used, live, calls = 0, {}, {}
for place = 1, #kept, 2 do
  local number, count = tonumber(kept[place]), tonumber(kept[place + 1])
  if number > bucket or number < bucket - buckets then -- in the future only after the clock was set back
    redis.call('HDEL', KEYS[1], kept[place])
  else
    used = used + count
    live[#live + 1] = number
    calls[number] = count
  end
end
local function until_gone(number)
  return math.ceil((number + buckets + 1) * width - now)
end
local taken = used + cost <= most
if taken then
  redis.call('HINCRBY', KEYS[1], string.format('%d', bucket), cost)
  redis.call('PEXPIRE', KEYS[1], math.ceil((buckets + 1) * width / 1000))
  used = used + cost
  live[#live + 1] = bucket
end
table.sort(live)
local reset, retry = until_gone(live[1] or bucket), 0
if not taken then
  local left = used
  for _, number in ipairs(live) do
    left = left - calls[number]
    retry = until_gone(number)
    if left + cost <= most then break end
  end
end
return {taken and 1 or 0, math.max(most - used, 0), reset, retry}
