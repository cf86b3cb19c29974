--- Which tabs hold a pane that needs an answer or has ended unseen.
---
--- Pure. `attach` tells by user vars, which any program in any pane can set: they are checked against what
--- `attach` can say, and all that they decide is a marker beside a title.

local client = require 'wezterm_parallel.client'
local text = require 'wezterm_parallel.text'

local M = {}

--- WezTerm cuts a title to its tab; this only keeps it from being endless.
local TITLE_CHARACTERS_MAX = 200

--- What `attach` says in `wezterm_parallel_attention`, and the mark for it. Everything else is none.
local MARKS = { answer = 'attention', failed = 'failed', ended = 'ended' }

--- The most urgent mark of a tab's panes is the tab's.
local URGENCY = { attention = 3, failed = 2, ended = 1 }

--- The user vars that are read: why to look, and at which task.
M.VARIABLE = 'wezterm_parallel_attention'
M.TASK_VARIABLE = 'wezterm_parallel_task'

--- More viewers than anybody opens; a program that invents panes must not fill the memory.
local PANES_MAX = 200

---@alias wezterm_parallel.Mark 'attention'|'failed'|'ended'

--- What the value of the user var asks for.
---@param value any
---@return wezterm_parallel.Mark?
function M.mark_of(value)
  return type(value) == 'string' and MARKS[value] or nil
end

--- What the user vars of a pane say.
local function said_by(variables)
  local task = variables[M.TASK_VARIABLE]
  return client.is_id(task) and task or '', M.mark_of(variables[M.VARIABLE])
end

--- What is known of a pane with a viewer.
---@class wezterm_parallel.Viewer
---@field tab_id integer
---@field task string the task that it showed last; empty for none
---@field says? wezterm_parallel.Mark what it said about that
---@field asks boolean whether its question has not been seen
---@field ended? 'failed'|'ended' the worst end that has not been seen
---@field ended_task string whose end that is; empty if that is not known

---@class wezterm_parallel.Tabs
---@field viewers table<integer, wezterm_parallel.Viewer> by the ids of their panes
---@field marked integer how many of them want to be looked at
---@field changed boolean whether `M.restore` of the former text would give something else
local Tabs = {}
Tabs.__index = Tabs

---@return wezterm_parallel.Tabs
function M.new()
  return setmetatable({ viewers = {}, marked = 0, changed = false }, Tabs)
end

-- ---- what viewers say -------------------------------------------------------------------------------------

local function mark_of_viewer(viewer)
  return viewer.asks and 'attention' or viewer.ended
end

--- The viewer of a pane; the oldest one makes room for one too many.
local function viewer_of(self, pane_id, tab_id)
  local viewer = self.viewers[pane_id]
  if not viewer then
    viewer = { tab_id = tab_id, task = '', asks = false, ended_task = '' }
    self.viewers[pane_id] = viewer
    local count, oldest = 0, pane_id
    for id in pairs(self.viewers) do
      count, oldest = count + 1, math.min(oldest, id)
    end
    if count > PANES_MAX then
      self.viewers[oldest] = nil
    end
  end
  viewer.tab_id = tab_id
  return viewer
end

--- Keeps the worst end that nobody has seen.
local function keep_end(viewer, mark, task)
  if not viewer.ended or URGENCY[mark] >= URGENCY[viewer.ended] then
    viewer.ended, viewer.ended_task = mark, task
  end
end

--- What a pane says now, after what it has said before.
local function take(viewer, task, says)
  -- Whoever has a task run again knows how it ended.
  if task ~= '' and task == viewer.ended_task and says ~= viewer.ended then
    viewer.ended, viewer.ended_task = nil, ''
  end
  viewer.task, viewer.says = task, says
  viewer.asks = viewer.asks and says == 'attention'
end

local function forget_marks(viewer)
  viewer.asks, viewer.ended, viewer.ended_task = false, nil, ''
end

--- Counts the marks anew, and drops panes that no longer have a viewer.
local function settle(self)
  self.marked = 0
  for pane_id, viewer in pairs(self.viewers) do
    if mark_of_viewer(viewer) then
      self.marked = self.marked + 1
    elseif viewer.task == '' and not viewer.says then
      self.viewers[pane_id] = nil
    end
  end
  self.changed = true
end

--- A pane has set the user var. Events may arrive out of order, so what holds now is what the pane's
--- variables are; that something has ended is true whenever it is heard. What is said again is no news.
---@param pane_id integer
---@param tab_id integer
---@param value any of the event
---@param variables table the pane's user vars now
---@param viewed boolean whether somebody looks at it
function Tabs:hear(pane_id, tab_id, value, variables, viewed)
  local heard = M.mark_of(value)
  local task, says = said_by(variables)
  local viewer = viewer_of(self, pane_id, tab_id)
  local is_news = viewer.task ~= task or viewer.says ~= says
  take(viewer, task, says)
  if viewed then
    forget_marks(viewer)
  else
    if is_news and says == 'attention' then
      viewer.asks = true
    elseif is_news and says then
      keep_end(viewer, says, task)
    end
    if heard and heard ~= says and heard ~= 'attention' then
      keep_end(viewer, heard, '')
    end
  end
  settle(self)
end

--- A pane as it is found, after the configuration was loaded or a domain was attached: news only if it says
--- something else than it was last known to say.
---@param pane_id integer
---@param tab_id integer
---@param variables table
---@param viewed boolean
function Tabs:find(pane_id, tab_id, variables, viewed)
  local task, says = said_by(variables)
  local known = self.viewers[pane_id]
  if known and known.task == task and known.says == says then
    if known.tab_id ~= tab_id then
      known.tab_id, self.changed = tab_id, true
    end
  elseif known or says then
    self:hear(pane_id, tab_id, variables[M.VARIABLE], variables, viewed)
  end
end

--- Somebody looks at this tab: its panes have nothing new to say.
---@param tab_id integer
---@return boolean changed whether a mark has gone
function Tabs:seen(tab_id)
  local before = self.marked
  if before > 0 then
    for _, viewer in pairs(self.viewers) do
      if viewer.tab_id == tab_id then
        forget_marks(viewer)
      end
    end
    settle(self)
  end
  return self.marked ~= before
end

--- The most urgent mark of a tab.
---@param tab_id integer
---@return wezterm_parallel.Mark?
function Tabs:mark(tab_id)
  if self.marked == 0 then
    return nil
  end
  local found
  for _, viewer in pairs(self.viewers) do
    local mark = viewer.tab_id == tab_id and mark_of_viewer(viewer)
    if mark and (not found or URGENCY[mark] > URGENCY[found]) then
      found = mark
    end
  end
  return found
end

-- ---- over a reload ----------------------------------------------------------------------------------------

--- All of it as one text.
---@return string
function Tabs:saved()
  local lines = {}
  for pane_id, viewer in pairs(self.viewers) do
    local asks = viewer.asks and 'asks' or ''
    lines[#lines + 1] = ('%d,%d,%s,%s,%s,%s,%s;'):format(
      pane_id,
      viewer.tab_id,
      viewer.task,
      viewer.says or '',
      asks,
      viewer.ended or '',
      viewer.ended_task
    )
  end
  self.changed = false
  return table.concat(lines)
end

--- What such a text holds; what is not understood is left out.
---@param saved any
---@return wezterm_parallel.Tabs
function M.restore(saved)
  local self = M.new()
  local function known(mark)
    return URGENCY[mark] and mark or nil
  end
  local form = '^(%d+),(%d+),([%w._-]*),(%l*),(%l*),(%l*),([%w._-]*)$'
  for line in tostring(saved or ''):gmatch '([^;]*);' do
    local pane, tab, task, says, asks, ended, ended_task = line:match(form)
    local pane_id = pane and math.tointeger(tonumber(pane))
    local tab_id = tab and math.tointeger(tonumber(tab))
    if pane_id and tab_id then
      local viewer = viewer_of(self, pane_id, tab_id)
      viewer.task, viewer.says, viewer.asks = task, known(says), asks == 'asks'
      viewer.ended, viewer.ended_task = known(ended), ended_task
    end
  end
  settle(self)
  self.changed = false
  return self
end

-- ---- titles -----------------------------------------------------------------------------------------------

--- The title that WezTerm would show by itself, behind a marker. What a handler returns is read for escapes,
--- so a title, which any program can set, is made one harmless line.
---@param tab table TabInformation
---@param marker string
---@param effective table the configuration
---@return string
function M.title(tab, marker, effective)
  local title = tab.tab_title
  if (not title or title == '') and tab.active_pane then
    title = tab.active_pane.title
  end
  local index = ''
  if effective.show_tab_index_in_tab_bar ~= false then
    local first = effective.tab_and_split_indices_are_zero_based and 0 or 1
    index = ('%d: '):format(tab.tab_index + first)
  end
  local space = effective.use_fancy_tab_bar == false and ' ' or ''
  return space .. marker .. index .. text.line(title or '', TITLE_CHARACTERS_MAX) .. space
end

return M
