--- Command lines: what somebody typed is always one argument.

local client = require 'wezterm_parallel.client'

describe('client', function()
  it('queues any text as one argument', function()
    assert.are.same(
      {
        'queue',
        '--cwd=/a b',
        '--env=A=1',
        '--env=B=x y',
        '--priority=high',
        '--workspace=api',
        '--prompt=--help; rm -rf /',
      },
      client.queue {
        text = '--help; rm -rf /',
        cwd = '/a b',
        priority = 'high',
        workspace = 'api',
        env = { B = 'x y', A = '1' },
      }
    )
    assert.are.same(
      { 'queue', '--cwd=/', '--shell', '--prompt=make' },
      client.queue {
        text = 'make',
        cwd = '/',
        shell = true,
      }
    )
  end)

  it('opens editors and panes', function()
    assert.are.same({ 'queue', '--cwd=/a', '--env=A=1', '--edit' }, client.queue_edited('/a', { A = '1' }))
    for place, flag in pairs { tab = '--new-tab', window = '--new-window', here = '--here' } do
      local arguments = client.open_panes { layout = 'rows', place = place }
      assert.are.same({ 'panes', 'open', '--layout=rows', flag }, arguments)
    end
  end)

  it('keeps priorities in their range', function()
    assert.are.same({ 'edit', '7', '--priority=255' }, client.edit_priority('7', 300))
    assert.are.same({ 'edit', '7', '--priority=0' }, client.edit_priority('7', -20))
  end)

  it('answers', function()
    assert.are.same({ 'answer', '7', 'allow', '--request=r' }, client.allow('7', 'r'))
    assert.are.same(
      { 'answer', '7', 'allow', '--request=r', '--choose=Q=-1' },
      client.allow('7', 'r', 'Q=-1')
    )
    assert.are.same({ 'answer', '7', 'deny', '--request=r' }, client.deny('7', 'r', ' '))
    assert.are.same({ 'answer', '7', 'deny', '--request=r', '--message=-no' }, client.deny('7', 'r', '-no'))
  end)

  it('knows an id from an option', function()
    for _, id in ipairs { '7', 't1', 'a.b-c_d' } do
      assert.is_truthy(client.is_id(id))
    end
    for _, id in ipairs { '', '-x', '--help', '.a', 'a b', 'a\n', ('a'):rep(65) } do
      assert.is_falsy(client.is_id(id))
    end
    assert.is_falsy(client.is_id(7))
  end)

  it('finds the program', function()
    local function only(path)
      return function(asked)
        return asked == path
      end
    end
    assert.are.equal('/x', client.find('/x', '/home/me', only ''))
    assert.are.equal('/home/me/bin/wp', client.find('~/bin/wp', '/home/me', only ''))
    local cargo = '/home/me/.cargo/bin/wezterm-parallel'
    assert.are.equal(cargo, client.find(nil, '/home/me', only(cargo)))
    assert.are.equal('wezterm-parallel', client.find(nil, '/home/me', only ''))
  end)

  it('says what went wrong in one line', function()
    assert.are.equal('no daemon (start it)', client.failure 'error: no daemon\nhint: start it\n')
    assert.are.equal('no daemon', client.failure 'warning: x\nerror: no daemon\n')
    assert.are.equal('thread panicked at x', client.failure 'thread panicked\nat x\n')
    assert.are.equal('it said nothing', client.failure '')
  end)
end)
