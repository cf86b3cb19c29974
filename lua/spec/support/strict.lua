--- Tables that have what 20240203-110809-5046fc22 documents, and raise an error for anything else.

local M = {}

---@param words string names with spaces between
---@return table<string, boolean>
function M.set_of(words)
  local set = {}
  for word in words:gmatch '%S+' do
    set[word] = true
  end
  return set
end

local function refuse_unknown(what, known, given)
  for name in pairs(given) do
    assert(known[name], ('the stub itself has %s%s, which is not documented'):format(what, tostring(name)))
  end
end

local function not_to_be_set(what)
  return function(_, name)
    error(('%s%s is not to be set'):format(what, tostring(name)), 2)
  end
end

--- A module or an object, whose missing functions are errors that say whether the version or only this stub
--- lacks them.
---@param what string in front of a name, like `pane:`
---@param documented string
---@param has table<string, any>
function M.module(what, documented, has)
  local known = M.set_of(documented)
  refuse_unknown(what, known, has)
  return setmetatable(has, {
    __index = function(_, name)
      if name == 'gui' then
        return nil
      end
      local whose = known[name] and 'the stub' or '20240203'
      error(('%s has no %s%s'):format(whose, what, tostring(name)), 2)
    end,
    __newindex = not_to_be_set(what),
  })
end

--- A value with fields, of which those that are documented may be nil.
---@param what string
---@param documented string
---@param has table<string, any>
function M.fields(what, documented, has)
  local known = M.set_of(documented)
  refuse_unknown(what, known, has)
  return setmetatable(has, {
    __index = function(_, name)
      if not known[name] then
        error(('20240203 has no %s%s'):format(what, tostring(name)), 2)
      end
    end,
    __newindex = not_to_be_set(what),
  })
end

--- Raises an error for a field that is not documented.
---@param what string
---@param documented string
---@param given any
function M.check_fields(what, documented, given)
  assert(type(given) == 'table', what .. ' is no table')
  local known = M.set_of(documented)
  for name in pairs(given) do
    if not known[name] then
      error(('20240203 has no field %s in %s'):format(tostring(name), what), 2)
    end
  end
end

return M
