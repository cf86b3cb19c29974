--- The status text: what the file says, rendered once for each change.

local config = require 'wezterm_parallel.config'
local json = require 'support.json'
local status = require 'wezterm_parallel.status'

local NOW_MS = 1767225600000

local function content(more)
  local fields = {
    '"version":1,"pid":7',
    ('"updated_at_ms":%d'):format(NOW_MS),
  }
  local values =
    { queued = 0, running = 0, slots = 4, paused = false, attention = 0, failed = 0, blocked_by = '[]' }
  for name, value in pairs(more or {}) do
    values[name] = value
  end
  for name, value in pairs(values) do
    fields[#fields + 1] = ('"%s":%s'):format(name, tostring(value))
  end
  return '{' .. table.concat(fields, ',') .. '}\n'
end

local path, host, formatted

local function write(text)
  local file = assert(io.open(path, 'wb'))
  file:write(text)
  file:close()
end

local function new(options)
  local given = { icons = 'ascii', interval_ms = 0 }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  local resolved, problems = config.resolve { status = given }
  assert.are.same({}, problems)
  return status.new(host, resolved.status, path)
end

local function text_of(more, options)
  write(content(more))
  local made = new(options)
  made:update()
  return made.plain
end

describe('status', function()
  before_each(function()
    path = path or os.tmpname()
    formatted = 0
    local kept = {}
    host = {
      recall = function(_, name)
        return kept[name]
      end,
      remember = function(_, name, value)
        kept[name] = value
      end,
      now_ms = function()
        return NOW_MS
      end,
      json = function(text)
        local fine, value = pcall(json.parse, text)
        return fine and value or nil
      end,
      format = function(items)
        formatted = formatted + 1
        local words = {}
        for index, item in ipairs(items) do
          local color = item.Foreground and '<' .. (item.Foreground.AnsiColor or item.Foreground.Color) .. '>'
          words[index] = item == 'ResetAttributes' and '<>' or color or item.Text
        end
        return table.concat(words)
      end,
      icon = function()
        return nil
      end,
      environment = function() end,
    }
  end)

  after_each(function()
    os.remove(path)
  end)

  it('shows what is going on, and leaves out what is not', function()
    assert.are.equal(' wp 0/4 ', text_of())
    assert.are.equal(' wp 2/4 q 12 ', text_of { queued = 12, running = 2 })
    assert.are.equal(' wp 0/4 || paused ', text_of { paused = true })
    assert.are.equal(' wp 1/4 ? 2 ! 3 ', text_of { running = 1, attention = 2, failed = 3 })
    local processes = '{"up":2,"backoff":0,"failed":1,"stopped":3}'
    assert.are.equal(' wp 0/4 proc! 1 ', text_of { processes = processes })
    assert.are.equal(' wp 0/4 ', text_of { processes = '{"up":2,"failed":0}' })
    assert.are.equal('2', text_of({ processes = processes }, { format = '{processes}' }))
    assert.are.equal(' wp 0/4 error: no space ', text_of { journal_error = '"no space"' })
  end)

  it('says what blocks the queue, and makes it harmless', function()
    local gates =
      '[{"gate":"slots","message":"4 of 4"},{"gate":"memory","message":"low\\u001b[31m\\nmemory"}]'
    assert.are.equal(
      ' wp 4/4 q 1 wait: low [31m memory ',
      text_of { running = 4, queued = 1, blocked_by = gates }
    )
    assert.are.equal(' wp 4/4 ', text_of { running = 4, blocked_by = gates })
  end)

  it('has a format with fields and optional parts', function()
    assert.are.equal('2|0', text_of({ running = 2 }, { format = '{running}|{queued}' }))
    assert.are.equal('x', text_of({}, { format = 'x[ {queued} of {failed}]' }))
    assert.are.equal('x 0 of 1', text_of({ failed = 1 }, { format = 'x[ {queued} of {failed}]' }))
    assert.are.equal('', text_of({}, { format = '' }))
    assert.are.equal('W', text_of({}, { format = '{icon}', icons = { icon = 'W' } }))
  end)

  it('has colours', function()
    write(content { attention = 1, failed = 2 })
    local made = new { format = 'a[{attention}][{failed}]', colors = { failed = '#ff0000' } }
    made:update()
    assert.are.equal('a<Yellow>1<><#ff0000>2<>', made.formatted)
    assert.are.equal('a12', made.plain)
  end)

  it('renders only what changes', function()
    write(content { running = 1 })
    local made = new()
    assert.are.equal(true, made:update())
    assert.are.equal(1, formatted)
    local before, render = made.formatted, status.render
    status.render = nil
    assert.are.equal(false, made:update())
    status.render = render
    -- A heartbeat: another file, the same text.
    write((content({ running = 1 }):gsub('%d%d%d%d%d%d%d%d%d%d%d%d%d', tostring(NOW_MS - 5000))))
    assert.are.equal(true, made:update())
    assert.are.equal(before, made.formatted)
    assert.are.equal(1, formatted)
    write(content { running = 2 })
    made:update()
    assert.are.equal(2, formatted)
  end)

  it('reads no more often than it is to', function()
    write(content { running = 1 })
    local made = new { interval_ms = 1000 }
    made:update()
    write(content { running = 2 })
    assert.are.equal(false, made:update())
    assert.are.equal(' wp 1/4 ', made.plain)
    host.now_ms = function()
      return NOW_MS + 1000
    end
    assert.are.equal(true, made:update())
    assert.are.equal(' wp 2/4 ', made.plain)
    -- A clock that was set back does not stop it.
    host.now_ms = function()
      return NOW_MS - 3600000
    end
    write(content { running = 3 })
    assert.are.equal(true, made:update())
  end)

  it('says that the daemon is off', function()
    write(content { running = 1 })
    local made = new()
    made:update()
    host.now_ms = function()
      return NOW_MS + 15000
    end
    assert.are.equal(false, made:update())
    assert.are.equal(' wp 1/4 ', made.plain)
    host.now_ms = function()
      return NOW_MS + 15001
    end
    assert.are.equal(true, made:update())
    assert.are.equal(' wp daemon off ', made.plain)
    assert.are.equal('<#909090> wp daemon off <>', made.formatted)
    host.now_ms = function()
      return NOW_MS
    end
    made:update()
    assert.are.equal(' wp 1/4 ', made.plain)
    os.remove(path)
    made:update()
    assert.are.equal(' wp daemon off ', made.plain)
  end)

  it('survives whatever is in the file', function()
    for _, bad in ipairs { '', '{', '[]', '7', 'null', '{"updated_at_ms":"x"}', ('x'):rep(1000000) } do
      write(bad)
      local made = new()
      made:update()
      assert.are.equal(' wp daemon off ', made.plain)
    end
    write(content { queued = '"a"', running = -1, slots = 1.5, blocked_by = '{"a":1}', failed = 'null' })
    local made = new()
    made:update()
    assert.are.equal(' wp 0/0 ', made.plain)
    for _, bad in ipairs { '[7]', '"x"', '{"failed":"x"}', 'null' } do
      write(content { processes = bad })
      made:update()
      assert.are.equal(' wp 0/4 ', made.plain)
    end
  end)

  it('counts failures since somebody looked', function()
    write(content { failed = 3 })
    local made = new { format = '[{new_failed}]' }
    made:update()
    assert.are.equal('3', made.plain)
    made:look(3)
    made:update()
    assert.are.equal('', made.plain)
    write(content { failed = 5 })
    made:update()
    assert.are.equal('2', made.plain)
    -- Two were retried, and one failed again.
    write(content { failed = 1 })
    made:update()
    assert.are.equal('', made.plain)
    write(content { failed = 2 })
    made:update()
    assert.are.equal('1', made.plain)
    -- What the configuration finds when it is loaded again.
    made = new { format = '[{new_failed}]' }
    made:update()
    assert.are.equal('1', made.plain)
  end)

  it('counts as seen only what was shown', function()
    write(content { failed = 7 })
    local made = new { format = '{new_failed}' }
    made:update()
    made:look(5)
    made:update()
    assert.are.equal('2', made.plain)
    made:look(5)
    made:update()
    assert.are.equal('0', made.plain)
  end)

  it('knows where the daemon writes', function()
    local function environment(values)
      return function(name)
        return values[name]
      end
    end
    local below = '/wezterm-parallel/run/status.json'
    assert.are.same(
      { '/run/user/1/wezterm-parallel/status.json', '/home/me/.local/share' .. below },
      status.paths(environment { XDG_RUNTIME_DIR = '/run/user/1' }, '/home/me')
    )
    assert.are.same({ '/data' .. below }, status.paths(environment { XDG_DATA_HOME = '/data' }, '/home/me'))
    assert.are.same(
      { '/home/me/.local/share' .. below },
      status.paths(environment { XDG_DATA_HOME = 'data', XDG_RUNTIME_DIR = '' }, '/home/me')
    )
    assert.are.same({}, status.paths(environment {}, nil))
  end)
end)
