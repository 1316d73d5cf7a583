-- slurmctld's filter (JobSubmitPlugins=lua): lies beside slurm.conf, with carbon_deadline.lua.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)") or "/etc/slurm/"
local carbon = dofile(folder .. "carbon_deadline.lua")

-- A site that defers whole partitions names them here, as { nightly = "12h" }.
local PARTITIONS = {}

local function known(value)
  return value and value ~= slurm.NO_VAL and value ~= slurm.NO_VAL64 and value ~= 0
end

function slurm_job_submit(job, partitions, uid)
  local comment = job.comment
  local by_default = PARTITIONS[job.partition or ""]
  if by_default and (comment == nil or comment == "") then
    comment = "carbon:deadline=" .. by_default
  end
  local limit_s = known(job.time_limit) and job.time_limit * 60 or nil
  local begin_s = known(job.begin_time) and job.begin_time or nil
  local made, trouble, latest_s = carbon.plan(comment, limit_s, begin_s, os.time())
  if trouble then
    slurm.log_user(trouble)
    return slurm.ERROR
  end
  if made then
    job.comment, job.begin_time = made, latest_s
  end
  return slurm.SUCCESS
end

-- Carbon moves the start with scontrol, and users may change what is theirs.
function slurm_job_modify(job, record, partitions, uid)
  return slurm.SUCCESS
end

return slurm.SUCCESS
