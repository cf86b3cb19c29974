--- The default key assignments of WezTerm 20240203-110809-5046fc22, as `MODIFIERS key`.
---
--- From its list of commands. An assignment to SUPER also holds for CTRL+SHIFT, and a shifted one for the
--- other character on the same key, so both are here.

local M = {}

local LISTED = [[
  SHIFT Insert, CTRL Insert, Copy, Paste, ALT Enter
  SUPER c, SUPER v, SUPER m, SUPER h, SUPER n, SUPER k, SUPER f, SUPER t, SUPER w, SUPER r, SUPER q
  CTRL|SHIFT c, CTRL|SHIFT v, CTRL|SHIFT m, CTRL|SHIFT h, CTRL|SHIFT n, CTRL|SHIFT k, CTRL|SHIFT f
  CTRL|SHIFT t, CTRL|SHIFT w, CTRL|SHIFT r, CTRL|SHIFT q
  SUPER|SHIFT t, SUPER|SHIFT [, SUPER|SHIFT ], SUPER|SHIFT {, SUPER|SHIFT }, SUPER {, SUPER }
  SUPER -, SUPER =, SUPER 0, CTRL -, CTRL =, CTRL 0
  CTRL|SHIFT -, CTRL|SHIFT =, CTRL|SHIFT 0, CTRL|SHIFT _, CTRL|SHIFT +, CTRL|SHIFT ), CTRL _, CTRL +, CTRL )
  SUPER 1, SUPER 2, SUPER 3, SUPER 4, SUPER 5, SUPER 6, SUPER 7, SUPER 8, SUPER 9
  CTRL|SHIFT 1, CTRL|SHIFT 2, CTRL|SHIFT 3, CTRL|SHIFT 4, CTRL|SHIFT 5, CTRL|SHIFT 6, CTRL|SHIFT 7
  CTRL|SHIFT 8, CTRL|SHIFT 9, CTRL|SHIFT !, CTRL|SHIFT @, CTRL|SHIFT #, CTRL|SHIFT $, CTRL|SHIFT %
  CTRL|SHIFT ^, CTRL|SHIFT &, CTRL|SHIFT *, CTRL|SHIFT (, CTRL !, CTRL @, CTRL #, CTRL $, CTRL %
  CTRL ^, CTRL &, CTRL *, CTRL (
  CTRL Tab, CTRL|SHIFT Tab, CTRL PageUp, CTRL PageDown, CTRL|SHIFT PageUp, CTRL|SHIFT PageDown
  SHIFT PageUp, SHIFT PageDown
  CTRL|SHIFT l, CTRL|SHIFT p, CTRL|SHIFT u, CTRL|SHIFT x, CTRL|SHIFT z, CTRL|SHIFT Space
  CTRL|SHIFT|ALT ", CTRL|SHIFT|ALT %, CTRL|SHIFT|ALT ', CTRL|SHIFT|ALT 5, CTRL|ALT ", CTRL|ALT %
  CTRL|ALT ', CTRL|ALT 5
  CTRL|SHIFT|ALT LeftArrow, CTRL|SHIFT|ALT RightArrow, CTRL|SHIFT|ALT UpArrow, CTRL|SHIFT|ALT DownArrow
  CTRL|SHIFT LeftArrow, CTRL|SHIFT RightArrow, CTRL|SHIFT UpArrow, CTRL|SHIFT DownArrow
]]

--- Pairs of modifiers and key.
---@return { mods: string, key: string }[]
function M.all()
  local assignments = {}
  for entry in LISTED:gmatch '[^,\n]+' do
    local words = {}
    for word in entry:gmatch '%S+' do
      words[#words + 1] = word
    end
    if #words > 0 then
      assignments[#assignments + 1] = { key = words[#words], mods = words[2] and words[1] or '' }
    end
  end
  return assignments
end

return M
