-- What both filters share: the words of a deferrable job's comment, and when it must begin.
--
--   sbatch --time=2:00:00 --comment=carbon:deadline=8h train.sh
--
-- becomes a job with `--begin` at its latest safe start and the deadline as a moment, so that
-- Slurm starts it in time by itself, whatever becomes of carbon.
local carbon = {}

-- Kept free before the deadline: a tenth of the time limit, a minute at most.
local LONGEST_MARGIN_S = 60
local SECONDS = { s = 1, m = 60, h = 3600, d = 86400 }
-- Ten years: beyond that a number was meant otherwise, and carbon would not read the moment.
local LONGEST_S = 3650 * 86400

-- Days since 1970-01-01 of a civil date.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  return 365 * year + math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
    + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
end

-- "8h", "1d12h", "90m" in seconds; nil for what is none.
local function duration(text)
  local total, rest = 0, text
  while rest ~= "" do
    local number, unit, tail = rest:match("^(%d+)([smhd])(.*)$")
    if not number then return nil end
    total, rest = total + tonumber(number) * SECONDS[unit], tail
  end
  return text ~= "" and total <= LONGEST_S and total or nil
end

-- RFC 3339 with an offset as epoch seconds; nil for what is none.
local function moment(text)
  local y, mo, d, h, mi, s, zone =
    text:match("^(%d%d%d%d)-(%d%d)-(%d%d)[Tt ](%d%d):(%d%d):?(%d*)%.?%d*([Zz+-].*)$")
  if not y or tonumber(mo) < 1 or tonumber(mo) > 12 or tonumber(d) > 31 then return nil end
  local offset = 0
  if zone:upper() ~= "Z" then
    local sign, oh, om = zone:match("^([+-])(%d%d):?(%d%d)$")
    if not sign then return nil end
    offset = (tonumber(oh) * 3600 + tonumber(om) * 60) * (sign == "-" and -1 or 1)
  end
  return days(tonumber(y), tonumber(mo), tonumber(d)) * 86400 + tonumber(h) * 3600
    + tonumber(mi) * 60 + (tonumber(s) or 0) - offset
end

function carbon.rfc3339(epoch_s)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", epoch_s)
end

-- What a job asks for: `comment` as its user wrote it, `limit_s` its time limit or nil,
-- `begin_s` its own --begin or nil. Answers the comment and the begin to be set, or nil where
-- the job is none of carbon's, or nil and one line for its user.
function carbon.plan(comment, limit_s, begin_s, now_s)
  local words = comment and comment:match("^carbon:(.*)$")
  local stated = words and words:match("deadline=([^,%s]+)")
  if not stated then return nil end
  local after = duration(stated)
  local deadline_s = after and now_s + after or moment(stated)
  if not deadline_s then
    return nil, "carbon: '" .. stated .. "' is no deadline: write 8h or 2026-11-27T06:00:00Z"
  end
  if not limit_s then
    return nil, "carbon: a job with a deadline needs a time limit: --time"
  end
  local margin_s = math.min(LONGEST_MARGIN_S, math.floor(limit_s / 10))
  local latest_s = deadline_s - limit_s - margin_s
  if latest_s < (begin_s or now_s) then
    return nil, "carbon: with its time limit the job cannot end by " .. carbon.rfc3339(deadline_s)
      .. "; give a later deadline or a shorter --time"
  end
  -- By parts and not by a pattern of it: what was stated may hold a pattern's own characters.
  local from, to = comment:find("deadline=" .. stated, 1, true)
  local made = comment:sub(1, from - 1) .. "deadline=" .. carbon.rfc3339(deadline_s)
    .. comment:sub(to + 1)
  -- A begin that the other filter has set already is no wish of the user's.
  local is_own = begin_s and begin_s > now_s and math.abs(begin_s - latest_s) > 120
  if is_own and not made:find("earliest=", 1, true) then
    made = made .. ",earliest=" .. carbon.rfc3339(begin_s)
  end
  return made, nil, latest_s
end

return carbon
