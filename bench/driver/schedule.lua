-- Schedules a hotfix for one environment after the other, each at most once.
-- Arguments: number of the first environment, environments of a tenant, family, target version.
local number, per_tenant, family, target
local form = '{"environmentAadTenantId":"%08x-0000-4000-8000-000000000000","environmentApplicationFamily":"%s",'
  .. '"environmentName":"Environment %07d","targetAppVersion":"%s","ignoreUpgradeWindow":true}'

function init(arguments)
  number, per_tenant = tonumber(arguments[1]), tonumber(arguments[2])
  family, target = arguments[3], arguments[4]
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local body = form:format(math.floor(number / per_tenant), family, number, target)
  number = number + 1
  return wrk.format(nil, nil, nil, body)
end
