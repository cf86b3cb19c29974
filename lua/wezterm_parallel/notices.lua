--- What is worth a desktop notification: the difference between two readings of the queue.
---
--- Pure. Only a change is news: whoever opens a terminal is not told what has been so since yesterday.

local M = {}

---@class wezterm_parallel.Notice
---@field kind 'attention'|'failure'|'empty'
---@field words string

local function counted(number, one, several)
  return number == 1 and one or several:format(number)
end

--- A queue whose tasks are delayed, held or blocked is not empty.
local function busy(snapshot)
  return snapshot.queued + snapshot.running + snapshot.attention + snapshot.waiting > 0
end

--- What has happened from one snapshot to the next.
---@param before wezterm_parallel.Snapshot
---@param after wezterm_parallel.Snapshot
---@return wezterm_parallel.Notice[]
function M.between(before, after)
  local notices = {}
  if after.attention > before.attention then
    local words = counted(after.attention, 'A task needs an answer', '%d tasks need an answer')
    notices[#notices + 1] = { kind = 'attention', words = words }
  end
  if after.failed > before.failed then
    local words = counted(after.failed - before.failed, 'A task failed', '%d tasks failed')
    notices[#notices + 1] = { kind = 'failure', words = words }
  end
  if after.failed_processes > before.failed_processes then
    local more = after.failed_processes - before.failed_processes
    local words = counted(more, 'A process failed', '%d processes failed')
    notices[#notices + 1] = { kind = 'failure', words = words }
  end
  if busy(before) and not busy(after) then
    notices[#notices + 1] = { kind = 'empty', words = 'The queue is empty' }
  end
  return notices
end

return M
