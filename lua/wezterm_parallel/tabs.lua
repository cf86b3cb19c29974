--- Which tabs hold a pane that needs an answer or has ended unseen.
---
--- Pure. `attach` tells by user vars, which any program in any pane can set: they are checked against what
--- `attach` can say, and all that they decide is a marker beside a title.

local text = require 'wezterm_parallel.text'

local M = {}

--- WezTerm cuts a title to its tab; this only keeps it from being endless.
local TITLE_CHARACTERS_MAX = 200

--- What `attach` says in `wezterm_parallel_attention`, and the mark for it. Everything else is none.
local MARKS = { answer = 'attention', failed = 'failed', ended = 'ended' }

--- The most urgent mark of a tab's panes is the tab's.
local URGENCY = { attention = 3, failed = 2, ended = 1 }

--- The user var that is listened to; `attach` sets it last.
M.VARIABLE = 'wezterm_parallel_attention'

--- More panes than anybody opens; a program that invents panes must not fill the memory.
local PANES_MAX = 1000

---@alias wezterm_parallel.Mark 'attention'|'failed'|'ended'

--- What the value of the user var asks for.
---@param value any
---@return wezterm_parallel.Mark?
function M.mark_of(value)
  return type(value) == 'string' and MARKS[value] or nil
end

---@class wezterm_parallel.Tabs
local Tabs = {}
Tabs.__index = Tabs

---@return wezterm_parallel.Tabs
function M.new()
  return setmetatable({ panes = {}, count = 0 }, Tabs)
end

--- A pane said something new.
---@param pane_id integer
---@param tab_id integer
---@param mark? wezterm_parallel.Mark
function Tabs:set(pane_id, tab_id, mark)
  local known = self.panes[pane_id] ~= nil
  if not mark then
    self.panes[pane_id] = nil
    self.count = self.count - (known and 1 or 0)
  elseif known or self.count < PANES_MAX then
    self.panes[pane_id] = { tab_id = tab_id, mark = mark }
    self.count = self.count + (known and 0 or 1)
  end
end

--- Somebody looks at this tab: its panes have nothing new to say.
---@param tab_id integer
function Tabs:seen(tab_id)
  if self.count == 0 then
    return
  end
  for pane_id, pane in pairs(self.panes) do
    if pane.tab_id == tab_id then
      self.panes[pane_id] = nil
      self.count = self.count - 1
    end
  end
end

--- The most urgent mark of a tab.
---@param tab_id integer
---@return wezterm_parallel.Mark?
function Tabs:mark(tab_id)
  if self.count == 0 then
    return nil
  end
  local found
  for _, pane in pairs(self.panes) do
    if pane.tab_id == tab_id and (not found or URGENCY[pane.mark] > URGENCY[found]) then
      found = pane.mark
    end
  end
  return found
end

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
