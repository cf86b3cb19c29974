--- The part of busted that the specs use, so that `cargo test` runs them with no Lua on the machine.
---
--- `run(chunk)` gives what passed and what failed, in the order of the file.

local M = {}

--- A Lua without its debug library still says which line failed.
local trace = debug and debug.traceback or tostring

local function show(value)
  if type(value) ~= 'table' then
    return type(value) == 'string' and ('%q'):format(value) or tostring(value)
  end
  local keys, pieces = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(left, right)
    return tostring(left) < tostring(right)
  end)
  for index, key in ipairs(keys) do
    pieces[index] = tostring(key) .. '=' .. show(value[key])
  end
  return '{' .. table.concat(pieces, ', ') .. '}'
end

local function same(left, right)
  if type(left) ~= 'table' or type(right) ~= 'table' then
    return left == right
  end
  for key, value in pairs(left) do
    if not same(value, right[key]) then
      return false
    end
  end
  for key in pairs(right) do
    if left[key] == nil then
      return false
    end
  end
  return true
end

local function check(fits, words, ...)
  if not fits then
    error(words:format(...), 3)
  end
end

--- The assertions, as luassert names them.
local function assertions()
  local are, is = {}, {}
  function are.same(expected, given)
    check(same(expected, given), 'expected %s, got %s', show(expected), show(given))
  end
  function are.equal(expected, given)
    check(expected == given, 'expected %s, got %s', show(expected), show(given))
  end
  function is.truthy(given)
    check(given, 'expected something true, got %s', show(given))
  end
  function is.falsy(given)
    check(not given, 'expected nothing, got %s', show(given))
  end
  function is.is_nil(given)
    check(given == nil, 'expected nil, got %s', show(given))
  end
  local function matches(pattern, given)
    check(tostring(given):find(pattern), 'expected a match of %s, got %s', show(pattern), show(given))
  end
  local function has_error(call)
    check(not pcall(call), 'expected an error')
  end
  local table_of = {
    are = are,
    is_truthy = is.truthy,
    is_falsy = is.falsy,
    is_nil = is.is_nil,
    matches = matches,
    has_error = has_error,
  }
  return setmetatable(table_of, {
    __call = function(_, fits, words)
      check(fits, '%s', words or 'assertion failed')
      return fits
    end,
  })
end

local function call_all(levels)
  for _, level in ipairs(levels) do
    for _, call in ipairs(level) do
      call()
    end
  end
end

--- Runs the specs of a loaded file.
---@param chunk function
---@return string[] passed
---@return string[] failed each with its reason
function M.run(chunk)
  local passed, failed, path, before, after = {}, {}, {}, {}, {}
  function _G.describe(name, body)
    path[#path + 1] = name
    before[#before + 1], after[#after + 1] = {}, {}
    body()
    path[#path], before[#before], after[#after] = nil, nil, nil
  end
  function _G.before_each(prepare)
    table.insert(before[#before], prepare)
  end
  function _G.after_each(clean)
    table.insert(after[#after], clean)
  end
  function _G.it(name, body)
    local full = table.concat(path, ' ') .. ' ' .. name
    local fine, reason = xpcall(function()
      call_all(before)
      body()
    end, trace)
    call_all(after)
    if fine then
      passed[#passed + 1] = full
    else
      failed[#failed + 1] = full .. '\n' .. tostring(reason)
    end
  end
  local plain = _G.assert
  _G.assert = assertions()
  local loaded, reason = xpcall(chunk, trace)
  _G.assert = plain
  if not loaded then
    failed[#failed + 1] = 'the file itself\n' .. tostring(reason)
  end
  return passed, failed
end

return M
