-- Asks keyportal whether a request's credential is good: `http-request lua.keyportal "scope=reports:read"`.
--
-- The script opens nothing by itself: it sets txn.keyportal, and haproxy.cfg refuses every request for which that is not "ok".
-- An error in here, or an unexpected response, therefore lets no request in.

local WITHIN = 8000 -- milliseconds: longer than all the time that haproxy.cfg gives keyportal
local IDENTITY = {
  "x-keyportal-key", "x-keyportal-owner", "x-keyportal-scopes", "x-keyportal-environment", "x-keyportal-kind",
  "x-keyportal-assertion",
}
local TOLD = { "ratelimit", "ratelimit-policy", "deprecation", "sunset", "x-keyportal-expires" }
local REFUSAL = {
  "www-authenticate", "retry-after", "ratelimit", "ratelimit-policy", "x-keyportal-code", "x-request-id", "cache-control",
}
local EXPOSED = "WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, X-Keyportal-Code, X-Request-ID"
local REFUSALS = { [401] = true, [403] = true, [429] = true }
local SOCKET = os.getenv("KEYPORTAL_SOCKET")

-- The value of a header of the response; nil if it is missing or empty.
local function value(response, name)
  local values = response.headers and response.headers[name]
  local first = values and values[0]
  return first ~= "" and first or nil
end

-- Every Authorization line, so that keyportal sees if there is more than one.
local function authorization(txn)
  local lines, sent = {}, txn.http:req_get_headers()["authorization"]
  for index = 0, sent and #sent or -1 do
    lines[#lines + 1] = sent[index]
  end
  return #lines > 0 and lines or nil
end

local function check(txn, query)
  return core.httpclient():get {
    url = "http://keyportal/gateway/auth?" .. query,
    dst = SOCKET,
    timeout = WITHIN,
    headers = {
      ["authorization"] = authorization(txn),
      ["x-forwarded-for"] = { txn.f:src() },
      ["x-request-id"] = { txn:get_var("txn.request_id") },
    },
  }
end

-- The headers with which a browser lets the app read a refusal.
local function for_browsers(txn, reply)
  local origin = txn:get_var("txn.keyportal_origin")
  reply:add_header("Vary", "Origin")
  if origin then
    reply:add_header("Access-Control-Allow-Origin", origin)
    reply:add_header("Access-Control-Expose-Headers", EXPOSED)
  end
end

local function refuse(txn, response)
  local reply = txn:reply { status = response.status }
  for _, name in ipairs(REFUSAL) do
    local text = value(response, name)
    if text then
      reply:add_header(name, text)
    end
  end
  for_browsers(txn, reply)
  txn:done(reply)
end

-- If keyportal can't answer, no request gets in, and no client is told that its credential is bad.
local function unavailable(txn)
  local reply = txn:reply { status = 503 }
  reply:add_header("Retry-After", "2")
  reply:add_header("Cache-Control", "no-store")
  reply:add_header("X-Request-ID", txn:get_var("txn.request_id"))
  for_browsers(txn, reply)
  txn:done(reply)
end

core.register_action("keyportal", { "http-req" }, function(txn, query)
  local response = check(txn, query)
  if REFUSALS[response.status] then
    return refuse(txn, response)
  end
  if response.status ~= 200 then
    return unavailable(txn)
  end
  for _, name in ipairs(IDENTITY) do
    local text = value(response, name)
    if text then
      txn.http:req_set_header(name, text)
    end
  end
  for _, name in ipairs(TOLD) do
    local text = value(response, name)
    if text then
      txn:set_var("txn." .. name:gsub("-", "_"), text)
    end
  end
  txn:set_var("txn.keyportal", "ok")
end, 1)
