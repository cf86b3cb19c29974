--- `wezterm.action` of 20240203-110809-5046fc22, as far as the plugin may use it, with the fields that each
--- action has.

local strict = require 'support.strict'

local M = {}

local FIELDS = {
  EmitEvent = '',
  PromptInputLine = 'action description',
  InputSelector = 'action alphabet choices description fuzzy fuzzy_description title',
  SpawnCommandInNewTab = 'args cwd domain label position set_environment_variables',
  SplitPane = 'command direction size top_level',
}

--- Fields without which the action is refused.
local REQUIRED = {
  PromptInputLine = { 'action', 'description' },
  InputSelector = { 'action', 'choices' },
  SplitPane = { 'direction' },
}

local DIRECTIONS = strict.set_of 'Up Down Left Right'
local DOMAINS = strict.set_of 'DefaultDomain CurrentPaneDomain'

--- What asks hands its answer to an event, and to nothing else; its choices are pairs of texts.
local function check_asking(name, fields)
  if type(fields.action) ~= 'table' or fields.action.name ~= 'EmitEvent' then
    error(name .. ' requires action to be defined by wezterm.action_callback')
  end
  for _, choice in ipairs(fields.choices or {}) do
    strict.check_fields('a choice', 'id label', choice)
    assert(type(choice.id) == 'string' and type(choice.label) == 'string', 'a choice that is no text')
  end
end

--- A program to be started.
local function check_command(command)
  strict.check_fields('SpawnCommand', FIELDS.SpawnCommandInNewTab, command)
  for _, argument in ipairs(command.args or {}) do
    assert(type(argument) == 'string', 'an argument that is no text')
  end
  for name, value in pairs(command.set_environment_variables or {}) do
    assert(type(name) == 'string' and type(value) == 'string', 'a variable that is no text')
  end
  local domain = command.domain
  if type(domain) == 'table' then
    strict.check_fields('a domain', 'DomainName', domain)
    assert(type(domain.DomainName) == 'string', 'a domain without a name')
  else
    assert(domain == nil or DOMAINS[domain], 'there is no domain ' .. tostring(domain))
  end
end

local function check(name, fields)
  strict.check_fields(name, FIELDS[name], fields)
  for _, field in ipairs(REQUIRED[name] or {}) do
    assert(fields[field] ~= nil, ('%s needs the field %s'):format(name, field))
  end
  if name == 'SplitPane' then
    assert(DIRECTIONS[fields.direction], 'there is no direction ' .. tostring(fields.direction))
    check_command(fields.command or {})
  elseif name == 'SpawnCommandInNewTab' then
    check_command(fields)
  else
    check_asking(name, fields)
  end
end

--- An action is a table with its name, and its event or its fields.
function M.new()
  return setmetatable({}, {
    __index = function(_, name)
      if not FIELDS[name] then
        error('the stub knows no action ' .. tostring(name), 2)
      end
      return function(fields)
        if name == 'EmitEvent' then
          assert(type(fields) == 'string', 'an event is a name')
          return { name = name, event = fields }
        end
        check(name, fields)
        return { name = name, fields = fields }
      end
    end,
  })
end

return M
