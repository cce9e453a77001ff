"""What the shared store does in one step, in its own language: the same windows as ``core/limits/window.py``, as hashes.

A window's hash holds its newest bucket (``h``), its total (``t``) and its buckets by their number modulo their count. Times
are the store's own. Keys are the windows, then the places; arguments come window by window, then place by place.
"""

CLOCK = """
local time = redis.call('TIME')
local now = tonumber(time[1])
local now_ms = now * 1000 + math.floor(tonumber(time[2]) / 1000)
"""

WINDOW = """
local function advanced(key, bucket_s, size)
  local head = math.floor(now / bucket_s)
  local state = redis.call('HMGET', key, 'h', 't')
  local old = tonumber(state[1])
  if not old then return head, 0 end
  local total = tonumber(state[2])
  if head <= old then return old, total end
  if head - old >= size then
    redis.call('DEL', key)
    return head, 0
  end
  for bucket = old + 1, head do
    local amount = redis.call('HGET', key, bucket % size)
    if amount then
      total = total - tonumber(amount)
      redis.call('HDEL', key, bucket % size)
    end
  end
  redis.call('HSET', key, 'h', head, 't', total)
  return head, total
end

local function add(key, bucket_s, size, amount)
  local head = advanced(key, bucket_s, size)
  redis.call('HSET', key, 'h', head)
  redis.call('HINCRBY', key, head % size, amount)
  redis.call('HINCRBY', key, 't', amount)
  redis.call('EXPIRE', key, (size + 1) * bucket_s)
end
"""

ENTER = """
-- ARGV: member, lease_ms, windows; of each window bucket_s, size, allowed, amount; of each place allowed.
-- Returns 1, now, what each window has left; or 0, the number of the key that refuses (from 1), seconds to wait, what is left.
local windows = tonumber(ARGV[3])
for number = windows + 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[number], '-inf', now_ms)
  if redis.call('ZCARD', KEYS[number]) >= tonumber(ARGV[3 + windows * 3 + number]) then return {0, number, 1, 0} end
end
local left = {1, now}
for number = 1, windows do
  local at, key = number * 4, KEYS[number]
  local bucket_s, size = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local allowed, amount = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local head, total = advanced(key, bucket_s, size)
  if total + amount > allowed then
    local rest = total
    for passed = 1, size do
      local gone = redis.call('HGET', key, (head + passed) % size)
      if gone then rest = rest - tonumber(gone) end
      if rest + amount <= allowed then
        return {0, number, math.max(1, (head + passed) * bucket_s - now), math.max(0, allowed - total)}
      end
    end
    return {0, number, size * bucket_s, math.max(0, allowed - total)}
  end
  left[number + 2] = allowed - total - amount
end
for number = 1, windows do
  local at = number * 4
  add(KEYS[number], tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 3])
end
for number = windows + 1, #KEYS do
  redis.call('ZADD', KEYS[number], now_ms + tonumber(ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[number], ARGV[2])
end
return left
"""

LEAVE = """
-- ARGV: member, taken_s, windows; of each window bucket_s, size, by. Ends a call: its places are free, its estimates corrected.
for number = 1, tonumber(ARGV[3]) do
  local at, key = number * 3 + 1, KEYS[number]
  local bucket_s, size, by = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  if by > 0 then
    add(key, bucket_s, size, ARGV[at + 2])
  elseif by < 0 then
    local head = advanced(key, bucket_s, size)
    local bucket = math.floor(tonumber(ARGV[2]) / bucket_s)
    local there = tonumber(redis.call('HGET', key, bucket % size) or 0)
    if head - bucket < size and there > 0 then
      by = math.max(by, -there)
      redis.call('HINCRBY', key, bucket % size, by)
      redis.call('HINCRBY', key, 't', by)
    end
  end
end
for number = tonumber(ARGV[3]) + 1, #KEYS do redis.call('ZREM', KEYS[number], ARGV[1]) end
return 1
"""

STAY = """
-- ARGV: member, lease_ms. A call goes on: it keeps its places for another lease.
for number = 1, #KEYS do
  redis.call('ZADD', KEYS[number], now_ms + tonumber(ARGV[2]), ARGV[1])
  redis.call('PEXPIRE', KEYS[number], ARGV[2])
end
return 1
"""

ADD = """
-- ARGV: of each window bucket_s, size, amount. What was taken while the store was away counts as taken now.
for number = 1, #KEYS do
  local at = number * 3 - 2
  add(KEYS[number], tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2])
end
return 1
"""

GREET = """
-- KEYS: nodes, born. ARGV: node, lease_ms, a fresh name. Returns how many nodes are there, and the name of this memory.
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
redis.call('SETNX', KEYS[2], ARGV[3])
return {redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2])}
"""


def script(body: str, clock: str = CLOCK) -> str:
    """The whole text of one of them."""
    return clock + WINDOW + body
