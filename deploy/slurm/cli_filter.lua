-- The same on the submitting host (CliFilterPlugins=lua), where slurmctld's own filter is not
-- to be touched: lies beside slurm.conf, with carbon_deadline.lua.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "/etc/slurm/"
local carbon = dofile(folder .. "carbon_deadline.lua")

-- What Slurm shows for a time limit that nobody set is a number of millennia.
local LONGEST_S = 10 * 366 * 86400

-- "2-01:00:00", "01:00:00", "60:00" or "60" in seconds, as --time takes them; nil for none.
local function seconds(text)
  if not text or not text:match("^%d") then return nil end
  local day, rest = text:match("^(%d+)-(.*)$")
  local parts = {}
  for part in (rest or text):gmatch("%d+") do parts[#parts + 1] = tonumber(part) end
  local a, b, c = parts[1] or 0, parts[2] or 0, parts[3] or 0
  if day then return tonumber(day) * 86400 + a * 3600 + b * 60 + c end
  if #parts == 3 then return a * 3600 + b * 60 + c end
  return a * 60 + b
end

local function limit(text)
  local found = seconds(text)
  return found and found < LONGEST_S and found or nil
end

-- "2026-11-27T06:00:00" of this host's own zone as epoch seconds; nil for none ("Unknown").
local function begin(text)
  local y, mo, d, h, mi, s = (text or ""):match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)$")
  return y and os.time({ year = y, month = mo, day = d, hour = h, min = mi, sec = s }) or nil
end

function slurm_cli_setup_defaults(options, early)
  return slurm.SUCCESS
end

function slurm_cli_pre_submit(options, offset)
  local made, trouble, latest_s =
    carbon.plan(options["comment"], limit(options["time"]), begin(options["begin"]), os.time())
  if trouble then
    slurm.log_error("%s", trouble)
    return slurm.ERROR
  end
  if made then
    options["comment"] = made
    options["begin"] = os.date("%Y-%m-%dT%H:%M:%S", latest_s)
  end
  return slurm.SUCCESS
end

function slurm_cli_post_submit(offset, job, step)
  return slurm.SUCCESS
end
