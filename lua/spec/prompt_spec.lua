--- What is typed at a prompt: a priority and a workspace in front, all else as it is.

local json = require 'support.json'
local prompt = require 'wezterm_parallel.prompt'

--- The same cases as the command line's own reader of such words.
local function cases()
  local file = assert(io.open('tests/fixtures/typed.json', 'rb'))
  local text = file:read 'a'
  file:close()
  return json.parse(text)
end

describe('prompt.parse', function()
  it('takes lines apart as the command line does', function()
    local count = 0
    for _, case in ipairs(cases()) do
      local typed, problem = prompt.parse(case[1])
      assert.are.same(case[2], typed or { problem = problem })
      count = count + 1
    end
    assert.are.equal(true, count > 30)
  end)

  it('refuses what is no argument of a program', function()
    assert.is_nil((prompt.parse(('x'):rep(200 * 1024))))
    assert.is_nil((prompt.parse 'a\0b'))
  end)
end)
