-- Checks API keys and tokens inside nginx, by records that the portal keeps current (docs/change-feed.md of the project).
--
-- One worker of nginx polls the portal for changes; what it hears is in the shared dictionary, for all of them. A request whose
-- record is there costs no call; any other is asked about. An error in here ends a request with 500, and lets none in.

local cjson = require "cjson.safe"
local semaphore = require "ngx.semaphore"
local ffi = require "ffi"

local ngx, C, null = ngx, ffi.C, cjson.null
local floor, max, byte, char, format = math.floor, math.max, string.byte, string.char, string.format
local gmatch, lower, match, sub = string.gmatch, string.lower, string.match, string.sub
local BLANK = byte " "
local concat = table.concat
local rshift = require("bit").rshift

local M = { VERSION = "1" }

local LEASE, MAX_AGE = 2, 60 -- seconds: the protocol's
local FORMAT = 1 -- of records: others are for newer versions of this file
local POLL_EVERY, REPORT_EVERY, LOOK_EVERY = 0.25, 5, 0.01 -- seconds
local WAIT = 1 -- seconds: the longest between two attempts, unless the portal asks for more
local OVER_AFTER = 6 -- seconds without a fault after which an outage is over: longer than between two reports
local LEADS_FOR = 3 -- seconds without a poll after which another worker polls: about as long as a call takes
local CONNECT_WITHIN, ANSWER_WITHIN, IDLE_FOR = 1000, 1500, 60000 -- milliseconds
local MAX_HEADER, MAX_ANSWER, MAX_CHANGES = 8192, 4194304, 1000
local MAX_ENTRIES, MAX_ADDRESSES, MAX_CALLS = 10000, 10000, 200
local RENEWED_BEFORE = 10 -- seconds that an assertion is good for at least when it is passed on
local NOTICE = 30 * 86400 -- seconds: for how long before a key expires its responses say so
local EXPOSED = "WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, X-Keyportal-Code, X-Request-ID"

local shared, config = ngx.shared.keyportal, nil -- what all workers know; what `start` was given

---- Clock and digest ----

ffi.cdef [[
typedef struct { long seconds; long nanoseconds; } keyportal_time;
int clock_gettime(int clock, keyportal_time *time);
void *EVP_MD_CTX_new(void);
const void *EVP_sha256(void);
const void *EVP_MD_fetch(void *library, const char *name, const char *properties);
int EVP_DigestInit_ex(void *context, const void *type, void *engine);
int EVP_DigestUpdate(void *context, const void *data, size_t length);
int EVP_DigestFinal_ex(void *context, unsigned char *digest, unsigned int *length);
]]

-- A clock that is never set, the same in all workers: on Linux the one that goes on while the machine sleeps.
local CLOCK = ({ Linux = 7, OSX = 6, BSD = 4 })[ffi.os]
local time = ffi.new "keyportal_time"
local context, out = C.EVP_MD_CTX_new(), ffi.new "unsigned char[32]"
-- OpenSSL 3 looks an algorithm up at each use that was not fetched, which takes five times as long as using it.
local has_fetched, sha256 = pcall(function() return C.EVP_MD_fetch(nil, "SHA256", nil) end)
if not has_fetched then sha256 = C.EVP_sha256() end

local function clock()
  C.clock_gettime(CLOCK, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) * 1e-9
end

-- SHA-256 of a random key and the text, as the key of a record: what is in memory is no credential, nor a hash that could be
-- compared with another's. nginx's own HMAC looks its algorithm up anew each time, which takes ten times as long.
local function digest(prefix, text)
  C.EVP_DigestInit_ex(context, sha256, nil)
  C.EVP_DigestUpdate(context, prefix, #prefix)
  C.EVP_DigestUpdate(context, text, #text)
  C.EVP_DigestFinal_ex(context, out, nil)
  return ffi.string(out, 32)
end

local function random(length)
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(length)
  file:close()
  return (bytes:gsub(".", function(each) return format("%02x", byte(each)) end))
end

---- The log ----

local logged = {} -- if there is no dictionary: when this worker has logged what

local function is_unlogged(problem)
  if shared then return (shared:add(format("logged %d %s", shared:get "outages" or 0, problem), true, 60)) end
  if clock() - (logged[problem] or -60) < 60 then return false end
  logged[problem] = clock()
  return true
end

-- One line a minute of whatever is wrong, from whichever worker, and at once if it comes back after an outage.
local function log_fault(problem)
  if is_unlogged(problem) then ngx.log(ngx.ERR, "keyportal: ", problem) end
end

-- Log a fault for as long as which the portal is of no use.
local function log_outage(problem)
  shared:set("failed_at", clock())
  log_fault(problem)
end

-- At the level of the faults, because nginx's own default leaves warnings out.
local function log_end_of_outage()
  local failed_at = shared:get "failed_at"
  if not failed_at or clock() - failed_at < OVER_AFTER then return end
  shared:delete "failed_at"
  shared:incr("outages", 1, 0)
  ngx.log(ngx.ERR, "keyportal: the portal answers again")
end

---- Secrets ----

local ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

-- Whether a text has the form of a secret, with its checksum (docs/secret-format.md).
local function is_secret(credential)
  local body, sum = match(credential, "^(%l[%l%d]*_%l+_%w+)(%w%w%w%w%w%w)$")
  local environment = body and #match(body, "%w+$") == 43 and match(body, "_(%l+)_%w+$")
  if environment ~= "live" and environment ~= "test" then return false end
  local number, digits = ngx.crc32_long(body), ""
  for _ = 1, 6 do
    local place = number % 62 + 1
    number, digits = floor(number / 62), sub(ALPHABET, place, place) .. digits
  end
  return digits == sum
end

local function is_signed_token(credential)
  return match(credential, "^[%w_-]+%.[%w_-]+%.[%w_-]+$")
end

---- Refusals ----

-- Of the portal's codes, those that a check can have: status, error of RFC 6750, title and advice.
local REASONS = {
  missing_credential = { 401, nil, "No credential was sent", "Send your key in the header “Authorization: Bearer <key>”. "
    .. "Some proxies and HTTP clients drop this header on redirects or over plain http." },
  malformed_request = { 400, "invalid_request", "The Authorization header is malformed", "Send exactly one Authorization "
    .. "header: the word Bearer, one space, the credential. Don't use quotes or send a second credential in the query or the "
    .. "body." },
  invalid_token = { 401, "invalid_token", "This credential is unknown", "It was mistyped, truncated, never issued here, or is "
    .. "the wrong kind. Compare its first and last characters with the hint on your keys page." },
  expired = { 401, "invalid_token", "This credential has expired", "Create a new one, or set a later expiry for the key." },
  retired = { 401, "invalid_token", "This secret was replaced", "The key was rotated and the overlap has ended. Use the key's "
    .. "newer secret." },
  revoked = { 401, "invalid_token", "This credential was revoked", "It was revoked permanently. Create a new key, or log in "
    .. "again." },
  paused = { 401, "invalid_token", "This key is paused", "Its owner can resume it on the key's page." },
  owner_inactive = { 401, "invalid_token", "The owner's account is inactive", "Ask this portal's operators to reactivate the "
    .. "account." },
  account_unconfirmed = { 403, "invalid_token", "The owner has not confirmed their e-mail address", "Log in to the portal, "
    .. "request another confirmation e-mail, and open its link." },
  network_refused = { 403, "invalid_token", "This key is not allowed from this network", "The key's owner sets its allowed "
    .. "networks on the key's page. The address that reached us is not among them." },
  wrong_environment = { 403, "invalid_token", "This key belongs to the other environment", "Use a live key for live data and a "
    .. "test key for test data." },
  insufficient_scope = { 403, "insufficient_scope", "This credential lacks a required scope", "The WWW-Authenticate header "
    .. "names the required scope. Add it on the key's page, or ask an operator for it." },
  rate_limited = { 429, nil, "Too many requests", "Wait for the number of seconds in the Retry-After header, then try again." },
  unavailable = { 503, nil, "keyportal can't check credentials right now", "Your credential may be valid, so keep it. Try "
    .. "again after the number of seconds in Retry-After." },
}

local function challenge(plan, reason, code)
  local status, error, title = unpack(reason, 1, 3)
  if not error and status ~= 401 then return nil end
  local parts = { format('Bearer realm="%s"', plan.realm) }
  if error then parts[2] = format('error="%s", error_description="%s"', error, title) end
  if code == "insufficient_scope" then parts[#parts + 1] = format('scope="%s"', concat(plan.scopes, " ")) end
  return concat(parts, ", ")
end

local GOOD_ELSEWHERE = { wrong_environment = true, network_refused = true, insufficient_scope = true }

-- Say when a replaced secret stops working (RFC 9745, RFC 8594), and that its key expires within a month.
local function announce(entry, at, refusal)
  if refusal and not GOOD_ELSEWHERE[refusal.code] then return end
  if entry.retires_at and entry.replaced_at then
    ngx.header["Deprecation"] = "@" .. floor(entry.replaced_at)
    ngx.header["Sunset"] = ngx.http_time(floor(entry.retires_at))
  end
  if entry.key_expires_at and entry.key_expires_at - at <= NOTICE then
    ngx.header["X-Keyportal-Expires"] = entry.key_expires_text
  end
end

-- End the request with the portal's own answer to what was refused.
local function refuse(plan, refusal, origin)
  local code, header = refusal.code, ngx.header
  local reason = REASONS[code] or REASONS.invalid_token -- a newer portal may have more codes
  local body = { type = config.portal .. "/docs/errors/" .. code .. "/", title = reason[3], status = reason[1],
    detail = reason[4], code = code }
  for name, value in pairs(refusal.about or {}) do body[name] = value end
  ngx.status = reason[1]
  header["Content-Type"] = "application/problem+json"
  header["Cache-Control"] = "no-store"
  header["WWW-Authenticate"] = challenge(plan, reason, code)
  header["Retry-After"] = refusal.retry_after
  header["X-Keyportal-Code"] = code
  header["X-Request-ID"] = ngx.var.request_id
  header["Vary"] = "Origin"
  if origin then
    header["Access-Control-Allow-Origin"] = origin
    header["Access-Control-Expose-Headers"] = EXPOSED
  end
  ngx.req.discard_body() -- else what the client sends along would be read as its next request
  body = cjson.encode(body):gsub("\\/", "/")
  header["Content-Length"] = #body
  ngx.print(body)
  return ngx.exit(ngx.HTTP_OK)
end

---- Addresses, moments, records ----

-- The four or sixteen bytes of an address, nil for what is none.
local function octets(text)
  local a, b, c, d = match(text, "^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if a then return char(a, b, c, d) end
  if not match(text, "^[%x:]*:[%x:]*$") then return nil end
  local head, tail = match(text, "^(.-)::(.*)$")
  local function groups(part)
    local found = {}
    for group in gmatch(part, "%x+") do
      local number = tonumber(group, 16)
      found[#found + 1] = char(floor(number / 256), number % 256)
    end
    return concat(found)
  end
  local before, after = groups(head or text), groups(tail or "")
  return before .. ("\0"):rep(16 - #before - #after) .. after
end

local function network_of(text)
  local address, bits = match(text, "^(.+)/(%d+)$")
  local all, whole = assert(octets(address)), floor(bits / 8)
  return { size = #all, whole = sub(all, 1, whole), shift = 8 - bits % 8, rest = byte(all, whole + 1) }
end

local function is_in(address, network)
  local whole = network.whole
  if #address ~= network.size or sub(address, 1, #whole) ~= whole then return false end
  return network.shift == 8 or rshift(byte(address, #whole + 1), network.shift) == rshift(network.rest, network.shift)
end

-- Seconds since 1970 of a moment of RFC 3339 in UTC; nil for none. Raises an error for anything else.
local function seconds_of(text)
  if text == null then return nil end
  local year, month, day, hour, minute, second = match(text, "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d%.?%d*)Z$")
  year, month = year - (month + 0 <= 2 and 1 or 0), (month + 9) % 12 -- years begin in March: the leap day is their last
  local leap_days = floor(year / 4) - floor(year / 100) + floor(year / 400)
  local days = 365 * year + leap_days + floor((153 * month + 2) / 5) + day - 719469
  return days * 86400 + hour * 3600 + minute * 60 + second
end

local function text(value)
  assert(type(value) == "string")
  return value
end

local function set_of(list)
  local set = {}
  for _, each in ipairs(list) do set[text(each)] = true end
  return set
end

-- What is checked by: a record, in the form in which that is quick. Raises an error if it is none.
local function entry_of(record)
  local is_key, key = record.kind == "api_key", text(record.key)
  local about = { token = text(record.id), client = text(record.client_id) }
  if is_key then about = { key = record.id, name = record.name } end
  local key_expires_text = is_key and record.expires_at or record.key_expires_at
  local entry = {
    key = key ~= "" and key or nil, owner = text(record.owner), kind = text(record.kind),
    environment = text(record.environment), scopes = record.scopes[1] and concat(record.scopes, " "),
    has = set_of(record.scopes), tags = record.tags, networks = {},
    about = about, about_key = key ~= "" and { key = key, name = text(record.name) } or about, record = record,
    counted_as = key ~= "" and key or record.owner, counters = {}, good = {},
    owner_state = text(record.owner_state), asks_each_time = record.asks_each_time ~= false,
    not_before = seconds_of(record.not_before), expires_at = seconds_of(record.expires_at), leeway = record.leeway + 0,
    key_expires_at = key ~= "" and seconds_of(key_expires_text) or nil, key_expires_text = key_expires_text,
    replaced_at = seconds_of(record.replaced_at), retires_at = seconds_of(record.retires_at),
    paused_at = seconds_of(record.paused_at), paused_until = seconds_of(record.paused_until),
  }
  for place, network in ipairs(record.networks) do entry.networks[place] = network_of(network) end
  entry.good_until = math.min((entry.expires_at or math.huge) + entry.leeway, entry.key_expires_at or math.huge,
    entry.retires_at or math.huge)
  assert(#record.tags > 0 and set_of(record.tags) and text(record.secret_id))
  return entry
end
M.entry_of, M.seconds_of = entry_of, seconds_of

---- Checking ----

local function refusal_of(code, about, more)
  local told = more or {}
  for name, value in pairs(about) do told[name] = value end
  return { code = code, about = told }
end

local function pause_of(record)
  local reason = record.paused_reason
  return { at = record.paused_at, ["until"] = record.paused_until ~= null and record.paused_until or nil,
    reason = reason ~= "" and reason or nil }
end

-- The first reason to refuse a record, for any request; nil if there is none. `at` is by the portal's clock.
local function check_state(entry, at)
  local record, is_token = entry.record, entry.kind ~= "api_key"
  if entry.not_before and entry.not_before > at then return { code = "invalid_token" } end
  if record.revoked_at ~= null then
    return refusal_of("revoked", entry.about_key, { at = record.revoked_at, reason = record.revoked_reason })
  end
  if entry.expires_at and entry.expires_at + entry.leeway <= at then
    return refusal_of("expired", entry.about, { at = record.expires_at })
  end
  if is_token and entry.key_expires_at and entry.key_expires_at <= at then
    return refusal_of("expired", entry.about_key, { at = record.key_expires_at })
  end
  if entry.retires_at and entry.retires_at <= at then
    return refusal_of("retired", entry.about_key, { at = record.retires_at })
  end
  if entry.paused_at and not (entry.paused_until and entry.paused_until <= at) then
    return refusal_of("paused", entry.about_key, pause_of(record))
  end
  if entry.owner_state == "inactive" then return refusal_of("owner_inactive", entry.about_key) end
  if entry.owner_state ~= "active" then return refusal_of("account_unconfirmed", entry.about_key) end
end

local function is_allowed_from(entry, address)
  local bytes = entry.networks[1] and address and octets(address)
  for _, network in ipairs(entry.networks) do
    if bytes and is_in(bytes, network) then return true end
  end
  return #entry.networks == 0
end

-- The first reason to refuse a record for this request; nil if there is none.
local function check(entry, plan, at, address)
  local over = check_state(entry, at)
  if over then return over end
  if plan.environment and plan.environment ~= entry.environment then
    return refusal_of("wrong_environment", entry.about, { environment = entry.environment })
  end
  if not is_allowed_from(entry, address) then
    return refusal_of("network_refused", entry.about_key, { address = address })
  end
  for _, scope in ipairs(plan.scopes) do
    if not entry.has[scope] then return refusal_of("insufficient_scope", entry.about) end
  end
end
M.check = check

---- Calls to the portal ----

local service_key, tls_session

-- Return what is wrong with the file; nil if it has a key.
local function read_service_key()
  local file, problem = io.open(config.key_file)
  local content = file and file:read "*a"
  if file then file:close() end
  service_key = content and match(content, "^%s*(%S+)%s*$")
  if service_key and is_secret(service_key) then return nil end
  service_key = nil
  if not content then
    return format("nginx's workers can't read a file at key_file (%s). It has to exist, and their user or group needs the right "
      .. "to read it.", problem or config.key_file)
  end
  return format("%s holds something else than a key. Write the whole key into it, alone and without quotes; it is read again by "
    .. "itself.", config.key_file)
end

local function read_body(socket, headers)
  if headers["transfer-encoding"] ~= "chunked" then
    local length = tonumber(headers["content-length"] or "")
    if not length or length > MAX_ANSWER then return nil, "no length" end
    return socket:receive(length)
  end
  local parts, size = {}, 0
  repeat
    local line, problem = socket:receive()
    local length = tonumber(line and match(line, "^%x+") or "", 16)
    size = size + (length or MAX_ANSWER + 1)
    if size > MAX_ANSWER then return nil, problem or "no length" end
    parts[#parts + 1] = length > 0 and socket:receive(length) or nil
    socket:receive() -- the end of the line
  until length == 0
  return concat(parts)
end

-- Send one request and return its status, headers and body; nil and why if there is no answer, and whether any of it came.
local function exchange(socket, method, path, body)
  local length = body and format("Content-Type: application/json\r\nContent-Length: %d\r\n", #body) or ""
  local sent, problem = socket:send { method, " ", path, " HTTP/1.1\r\nHost: ", config.host, "\r\nAccept: application/json\r\n",
    "Authorization: Bearer ", service_key, "\r\nUser-Agent: keyportal-nginx/", M.VERSION, "\r\n", length, "\r\n", body or "" }
  if not sent then return nil, problem end
  local line, reading = socket:receive()
  local version, status = match(line or "", "^HTTP/1%.([01]) (%d%d%d)")
  if not status then return nil, reading or "no HTTP", line ~= nil end
  local headers = { connection = version == "0" and "close" or nil }
  repeat
    line, problem = socket:receive()
    local name, value = match(line or "", "^([^:]+):%s*(.-)%s*$")
    if name then headers[lower(name)] = value end
  until not name
  if line ~= "" then return nil, problem or "no HTTP", true end
  body, problem = read_body(socket, headers)
  return body and tonumber(status), body and headers or problem, body or true
end

local function connect(pool)
  local socket, target = ngx.socket.tcp(), config.target
  socket:settimeouts(CONNECT_WITHIN, ANSWER_WITHIN, ANSWER_WITHIN)
  local connected, problem
  if target.path then
    connected, problem = socket:connect(target.path, { pool = pool, pool_size = 32 })
  else
    connected, problem = socket:connect(target.host, target.port, { pool = pool, pool_size = 32 })
  end
  if connected and target.tls and (socket:getreusedtimes() or 0) == 0 then
    -- If a certificate is found to be bad at once, lua-resty-core raises an error that does not say so.
    local is_said
    is_said, tls_session, problem = pcall(socket.sslhandshake, socket, tls_session, target.name, true)
    if not is_said then tls_session, problem = nil, "no good certificate" end
    connected = tls_session
  end
  return connected and socket, problem
end

-- Try once more over a connection of its own if a kept one had been closed: the portal has restarted.
local function send(method, path, body)
  for _, pool in ipairs { "keyportal", "keyportal anew " .. random(8) } do
    local socket, problem = connect(pool)
    if not socket then
      shared:set("unreachable", true, WAIT) -- nginx itself logs some failed connections, each of them
      return nil, problem
    end
    local is_kept = (socket:getreusedtimes() or 0) > 0
    local status, headers, content = exchange(socket, method, path, body)
    -- A worker that ends would wait until a connection that it keeps has been idle for long enough.
    local can_keep = pool == "keyportal" and not ngx.worker.exiting()
    if status and headers.connection ~= "close" and can_keep then
      socket:setkeepalive(IDLE_FOR, 32)
    else
      socket:close()
    end
    if status or content or not is_kept then return status, headers, content end
  end
end

local ADVICE = {
  ["no resolver defined"] = "Add a “resolver” to http {}, or start { address = … } with an IP address.",
  ["certificate"] = "Its certificate must be good for its name, and its authority among lua_ssl_trusted_certificate.",
  ["handshake"] = "Perhaps it speaks plain http there: then its address begins with http.",
  ["denied"] = "nginx's workers need the right to connect to it.",
}

local function unreachable(problem)
  problem = tostring(problem)
  for part, advice in pairs(ADVICE) do
    if problem:find(part, 1, true) then return format("the portal can't be reached (%s). %s", problem, advice) end
  end
  return format("the portal can't be reached at %s (%s). Check the address, and whether it runs.", config.address, problem)
end

local function why_unexpected(status, answer)
  local code = type(answer) == "table" and type(answer.code) == "string" and match(answer.code, "^[%l_]+$")
  if status == 429 then
    return "the portal has reached its limit for this service: too many requests, or too many unknown credentials. Its "
      .. "operators can raise KEYPORTAL_LIMIT_SERVICE and KEYPORTAL_LIMIT_MISSES."
  end
  if status >= 500 then
    return format("the portal can't answer now (status %d). Its operators find the cause in its log and at /readyz.", status)
  end
  if status < 400 or not code then
    return format("what answers at %s is no portal that this version knows (status %d). Check the address.", config.address,
      status)
  end
  if status ~= 401 and status ~= 403 then
    return format("the portal refuses a question (%s). Check the names of scopes and audiences, and both versions.", code)
  end
  return format("the portal refuses nginx's own key (%s). Put a good one with the scope credentials:verify into %s; it is read "
    .. "again by itself.", code, config.key_file)
end

-- Return the portal's answer as a table; nil, for how many seconds to wait and the status, if it is good for nothing.
local function call(method, path, body, expected)
  local mistake = not service_key and read_service_key()
  if mistake then return log_outage(mistake) end
  local used = service_key
  local is_sent, status, headers, content = pcall(send, method, path, body and cjson.encode(body))
  if not is_sent then status, headers = nil, status end
  if not status then return log_outage(unreachable(headers)) end
  local answer = cjson.decode(content)
  if status == expected and type(answer) == "table" then return answer end
  if status == 401 or status == 403 then
    read_service_key() -- perhaps there is a new one
    if service_key ~= used then return call(method, path, body, expected) end
  end
  local log = status == 400 and log_fault or log_outage -- what it can't take is no outage
  log(why_unexpected(status, answer))
  local wait = tonumber(match(headers["retry-after"] or "", "^%d+$"))
  return nil, wait and max(1, math.min(wait, 60)), status
end

---- What all workers know of the changes ----

-- The worker that polls writes a state into the shared dictionary: an epoch, which begins where everything is forgotten; the
-- number of the last change in it; the lease and the cursor. Before the state it writes which change named which tag. A record
-- is stamped with the epoch and the number of when it was kept, so it is good until a later change names it, wherever it is
-- kept and whatever the dictionary had no more room for.
--
-- Each poller has a term of its own, whose number is part of the names under which it writes. So one that was stopped and goes
-- on writes where no worker looks.
local CURSOR = "^(%x+)%.(%d+)%.(%d+)%.[%x-]+$"
local view = { lease = 0, looked = 0, number = 0, floor = 0, changed = {} } -- what this worker last saw of it
local term -- this worker's, if it polls

local function read_state(of)
  local state = of and shared:get("state " .. of)
  local epoch, number, lease, cursor = match(state or "", "^(%x+) (%d+) ([%d.]+) (%S+)$")
  return epoch and { epoch = epoch, number = tonumber(number), lease = tonumber(lease), cursor = cursor }
end

local function read_changes(of, state)
  local epoch, from, lines = match(shared:get("changes " .. of) or "", "^(%x+) (%d+)\n(.*)$")
  view.changed, view.floor = {}, state.number
  if epoch == state.epoch then
    view.floor = tonumber(from)
    for number, tag in gmatch(lines, "(%d+) (%S+)\n") do view.changed[tag] = tonumber(number) end
  end
end

local function read_view(now)
  if now - view.looked < LOOK_EVERY then return end
  view.looked = now
  local of = shared:get "term"
  local state = read_state(of)
  if not state then
    view.epoch, view.lease = nil, 0
    return
  end
  if state.epoch ~= view.epoch or state.number ~= view.number then read_changes(of, state) end
  view.epoch, view.number, view.lease, view.cursor = state.epoch, state.number, state.lease, state.cursor
end

local function write_state(state)
  shared:set("state " .. term, format("%s %d %.6f %s", state.epoch, state.number, state.lease, state.cursor), MAX_AGE)
end

local function write_changes(state, tags)
  local epoch, from, lines = match(shared:get("changes " .. term) or "", "^(%x+) (%d+)\n(.*)$")
  if epoch ~= state.epoch then from, lines = state.number - 1, "" end
  local every = {}
  for line in gmatch(lines, "[^\n]+") do every[#every + 1] = line end
  for _, tag in ipairs(tags) do every[#every + 1] = state.number .. " " .. tag end
  local first = max(1, #every - MAX_CHANGES + 1)
  if first > 1 then from = match(every[first - 1], "^%d+") end
  shared:set("changes " .. term, format("%s %d\n%s\n", state.epoch, from, concat(every, "\n", first)), 2 * MAX_AGE)
end

-- Whether a worker of the portal that gives this cursor may know less than one that gave the other.
local function is_before(cursor, other)
  local identity, number, part = match(cursor, CURSOR)
  local other_identity, other_number, other_part = match(other, CURSOR)
  if identity ~= other_identity then return true end
  number, other_number = tonumber(number), tonumber(other_number)
  return number < other_number or number == other_number and tonumber(part) < tonumber(other_part)
end

local function apply(answer, own, began)
  assert(match(text(answer.cursor), CURSOR) and type(answer.as_of_ms) == "number" and answer.as_of_ms >= 0)
  local is_reset = answer.reset == true or not own or is_before(answer.cursor, own.cursor)
  local tags = is_reset and {} or answer.tags
  for _, tag in ipairs(tags) do assert(match(text(tag), "^%S+$")) end
  local state = { epoch = own and own.epoch, number = own and own.number or 0, cursor = answer.cursor,
    lease = max(own and own.lease or 0, began - answer.as_of_ms / 1000 + LEASE) }
  if is_reset then
    state.epoch, state.number = random(8), 0
  elseif #tags > 0 then
    state.number = state.number + 1
    write_changes(state, tags)
  end
  write_state(state)
end

-- Whether this worker is the one that polls. One that begins to, goes on where the one before it stopped.
local function leads()
  local id = ngx.worker.id()
  if not shared:add("poller", id, LEADS_FOR) then
    if shared:get "poller" ~= id then return false end
    shared:set("poller", id, LEADS_FOR)
  end
  if not term or shared:get "term" ~= term then
    term = shared:incr("term", 1, floor(ngx.now() * 1000)) -- grows, even if the dictionary had no room for the last one
    local before = term - 1
    local changes, state = shared:get("changes " .. before), read_state(before)
    if changes then shared:set("changes " .. term, changes, 2 * MAX_AGE) end
    if state then write_state(state) end
  end
  return true
end

local is_polling, failures, quiet_until = false, 0, 0

-- Return whether the answer was one, and if not, for how many seconds to wait at least.
local function poll_once()
  local began, own = clock(), read_state(term)
  local answer, wait = call("GET", "/api/v1/changes" .. (own and "?since=" .. own.cursor or ""), nil, 200)
  if answer then apply(answer, own, began) end
  return answer, wait
end

local function poll(premature)
  if premature then
    if shared:get "poller" == ngx.worker.id() then shared:delete "poller" end
    return
  end
  shared:get "key" -- stays, while what is not used has to make room
  if is_polling or not leads() or clock() < quiet_until or shared:get "unreachable" then return end
  is_polling = true
  local is_read, answer, wait = pcall(poll_once)
  is_polling = false
  if not is_read then log_outage(why_unexpected(200)) end
  if is_read and answer then
    failures = 0
    return log_end_of_outage()
  end
  failures = failures + 1
  quiet_until = clock() + math.min(max(wait or 0, WAIT), POLL_EVERY * 2 ^ (failures - 2)) -- soon at first: one worker may have ended
end

---- Keeping records ----

local young, old, amount = {}, {}, 0 -- of this worker: once `young` is full, it becomes `old`, and what was old goes

local function keep_here(name, entry)
  if amount >= MAX_ENTRIES then young, old, amount = {}, young, 0 end
  young[name], amount = entry, amount + 1
end

local function is_current(entry)
  if entry.epoch ~= view.epoch then return false end
  if entry.checked == view.number then return true end
  if entry.number < view.floor then return false end
  for _, tag in ipairs(entry.tags) do
    if (view.changed[tag] or 0) > entry.number then return false end
  end
  entry.checked = view.number
  return true
end

local function find_shared(name)
  local kept = cjson.decode(shared:get(name) or "")
  if not kept then return nil end
  local entry = entry_of(kept.record)
  entry.epoch, entry.number, entry.ends, entry.ahead = kept.epoch, kept.number, kept.ends, kept.ahead
  entry.assertion, entry.renew_at = kept.assertion, kept.renew_at
  keep_here(name, entry)
  return entry
end

-- The entry to check by now; nil if the portal must be asked.
local function find(name, now)
  read_view(now)
  if now >= view.lease then return nil end
  local entry = young[name] or old[name] or find_shared(name)
  if not entry or entry.ends <= now or not is_current(entry) then
    young[name], old[name] = nil, nil -- another worker may have asked since
    entry = entry and find_shared(name)
    if not entry or entry.ends <= now or not is_current(entry) then return nil end
  end
  if entry.renew_at and entry.renew_at <= now then return nil end
  return entry
end

-- Keep the record of an answer, unless it may lack a change that this nginx has heard of.
local function keep(name, entry, question, answer)
  read_view(clock())
  if not view.epoch or view.epoch ~= question.epoch or is_before(answer.cursor, view.cursor) then return end
  entry.epoch, entry.number, entry.ends = view.epoch, view.number, question.began + MAX_AGE
  keep_here(name, entry)
  shared:set(name, cjson.encode { record = entry.record, epoch = entry.epoch, number = entry.number, ends = entry.ends,
    ahead = entry.ahead, assertion = entry.assertion, renew_at = entry.renew_at }, MAX_AGE)
end

---- Asking ----

local function unavailable(wait)
  return { code = "unavailable", retry_after = wait or 2 }
end

-- What a good credential is, of an answer without a record.
local function identity_of(credential)
  return { key = match(text(credential.client_id), "^key_.+$"), owner = text(credential.owner), kind = text(credential.kind),
    scopes = credential.scopes[1] and concat(credential.scopes, " "),
    environment = text(credential.environment) }
end

-- Until when, by this machine's clock, an assertion is passed on.
local function renewal_of(assertion, ahead)
  local claims = match(assertion, "^[^.]+%.([^.]+)%.")
  claims = cjson.decode(ngx.decode_base64(claims:gsub("-", "+"):gsub("_", "/") .. ("="):rep(-#claims % 4)))
  return claims.exp - ahead - RENEWED_BEFORE
end

-- Return what a good credential is, or nil and why it is refused, and the entry in either case. Raises an error if this is no
-- answer of a portal.
local function read_answer(answer, plan, name, question)
  local record, is_good, about = answer.record, answer.valid == true, answer.about
  local entry = type(record) == "table" and record.format == FORMAT and entry_of(record) or nil
  local ahead = seconds_of(answer.now) - question.began -- at most: a moment is rather reached too early than too late
  local identity = is_good and (entry or identity_of(answer.credential))
  if is_good and plan.assertion then
    identity.assertion, identity.renew_at = text(answer.assertion), renewal_of(answer.assertion, ahead)
  end
  if entry then
    entry.ahead = ahead
    local can_keep = not entry.asks_each_time and type(answer.cursor) == "string"
    if can_keep then keep(name, entry, question, answer) end
  end
  if is_good then return identity, nil, entry end
  local wait = about.retry_after
  about.title, about.scope, about.retry_after = nil, nil, nil
  return nil, { code = assert(match(answer.code, "^[%l_]+$")), about = about, retry_after = wait }, entry
end

-- The address that a request comes from, as nginx and the portal write it (RFC 5952); nil if it has none, over a Unix socket.
-- An IPv4 address that a socket for IPv6 got is an IPv4 address, as it is to the portal.
local function address_of()
  local address = ngx.var.remote_addr
  if sub(address, 1, 5) == "unix:" then return nil end
  return sub(address, 1, 7) == "::ffff:" and sub(address, 8) or address
end

-- The questions of this worker that are on their way. If a request is cancelled, its question is garbage.
local questions = setmetatable({}, { __mode = "v" })

-- Wait for another request's question about the same credential; return whether there is an entry to check by now.
local function join(name)
  local question = questions[name]
  local is_of_use = question and clock() - question.began < WAIT and clock() < view.lease and not shared:get("alone " .. name)
  return is_of_use and question.answered:wait(ANSWER_WITHIN / 1000) and find(name, clock()) ~= nil
end

local function send_question(question, credential, plan, name)
  local asked = { credential = credential, record = true, scopes = plan.scopes[1] and plan.scopes, audience = plan.audience,
    environment = plan.environment, assertion = plan.assertion, client_ip = address_of() }
  local answer, wait, status = call("POST", "/api/v1/verify", asked, 200)
  if not answer then
    if not status then shared:set("away", true, WAIT) end
    return nil, unavailable(wait)
  end
  local is_read, identity, refusal, entry = pcall(read_answer, answer, plan, name, question)
  if is_read then return identity, refusal, entry end
  log_outage(why_unexpected(200))
  return nil, unavailable()
end

-- Ask the portal about a credential; return what `read_answer` does.
local function ask(credential, plan, name)
  if not is_secret(credential) and not is_signed_token(credential) then return nil, { code = "invalid_token" } end
  -- While the portal is away, not every request waits to find that out.
  if shared:get "away" then return nil, unavailable() end
  local question = { began = clock(), epoch = view.epoch, answered = semaphore.new() }
  questions[name] = question
  local identity, refusal, entry = send_question(question, credential, plan, name)
  if questions[name] == question then questions[name] = nil end
  if entry and entry.asks_each_time then shared:set("alone " .. name, true, MAX_AGE) end -- nobody need wait for it in vain
  question.answered:post(max(1, -question.answered:count())) -- all who wait
  return identity, refusal, entry
end

---- Counting ----

-- Since the last batch: of a credential, a secret, an outcome and an hour, by these; how many addresses they have.
local counters, addresses = {}, 0
local waiting, batch = {}, nil -- entries of the next batches; the one that is on its way, the same until it is stored
local is_leaving, is_reporting = false, false
local report

local function open_counter(entry, outcome, at)
  local hour = floor(at / 3600)
  local secret = outcome == "accepted" and entry.record.secret_id or ""
  local name = concat({ entry.counted_as, secret, outcome, hour }, " ")
  local counter = counters[name]
  if not counter then
    counter = { credential = entry.counted_as, outcome = outcome, calls = {}, ends = (hour + 1) * 3600, secret = secret,
      hour = os.date("!%Y-%m-%dT%H:00:00Z", hour * 3600) }
    counters[name] = counter
  end
  entry.counters[outcome] = counter
  return counter
end

-- Count a call at this moment by the portal's clock.
local function count(entry, outcome, address, at)
  local counter = entry.counters[outcome]
  if not counter or counter.ends <= at then counter = open_counter(entry, outcome, at) end
  local calls = counter.calls[address]
  if not calls then
    address = addresses < MAX_ADDRESSES and address or ""
    calls, addresses = counter.calls[address] or 0, addresses + 1
  end
  counter.calls[address] = calls + 1
  if is_leaving then ngx.timer.at(0, report) end
end

-- Turn the counts into entries of batches.
local function drain()
  for _, counter in pairs(counters) do
    for address, calls in pairs(counter.calls) do
      waiting[#waiting + 1] = { credential = counter.credential, secret = counter.secret ~= "" and counter.secret or nil,
        entry_point = config.service, outcome = counter.outcome, hour = counter.hour, count = calls,
        addresses = address ~= "" and { address } or nil }
    end
    counter.ends = 0
  end
  counters, addresses = {}, 0
end

local function new_batch()
  if #waiting == 0 then drain() end
  if #waiting == 0 then return nil end
  local calls = {}
  while #waiting > 0 and #calls < MAX_CALLS do calls[#calls + 1] = table.remove(waiting) end
  return { batch = random(16), calls = calls }
end

local function next_batch()
  local left = shared:lpop "left" -- by a worker that has ended
  return left and cjson.decode(left) or new_batch()
end

-- Forget hours that the portal takes no longer. Only while it takes nothing, there are any.
local function drop_old()
  local oldest = ngx.time() - 22 * 3600
  for name, counter in pairs(counters) do
    if counter.ends < oldest then
      counters[name], counter.ends = nil, 0
      for _ in pairs(counter.calls) do addresses = addresses - 1 end
    end
  end
end

-- Send the counts. A batch that the portal will never take is dropped: its hours are too old by now.
local function send_reports()
  batch = batch or next_batch()
  while batch do
    local answer, _, status = call("POST", "/api/v1/usage", batch, 202)
    if not answer and status ~= 400 then return end
    batch = next_batch()
  end
end

function report(premature)
  is_leaving = is_leaving or premature
  if is_reporting then return end
  is_reporting = true
  drop_old()
  local is_sent, problem = pcall(send_reports)
  is_reporting = false
  if not is_sent then ngx.log(ngx.ERR, "keyportal: counts are not sent: ", problem) end
  while is_leaving and batch do -- the other workers send the rest
    shared:rpush("left", cjson.encode(batch))
    batch = new_batch()
  end
end

---- A request ----

local plans, plans_by_scope = {}, {}
local OF_PROTECT = { scope = "string or table", environment = "string", audience = "string", assertion = "string",
  realm = "string", keep_credential = "boolean" }
local OF_START = { portal = "string", address = "string", key_file = "string", service = "string", browser_apps = "table",
  has_odd_headers = "boolean" }
local mistake = "start has not been called. Include keyportal.conf in http {}, which does." -- in `start`, until it is called

-- End with what is wrong with the configuration, in one line.
local function fail(problem, ...)
  error(format(problem, ...), 0)
end

local function check_options(of, options, types)
  if type(options) ~= "table" then fail("%s needs its options in braces: %s { … }.", of, of) end
  for name, value in pairs(options) do
    if not types[name] then fail("%s has no option “%s”. The README lists those that it has.", of, tostring(name)) end
    if not types[name]:find(type(value), 1, true) then
      fail("the option “%s” of %s has to be a %s, and is a %s.", name, of, types[name], type(value))
    end
  end
end

-- Log what is wrong with the configuration, and let nobody in.
local function refuse_all(problem)
  log_fault(problem)
  return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
end

-- Check what the operator wrote, the first time that it is used.
local function new_plan(options)
  check_options("protect", options, OF_PROTECT)
  local scopes, environment = options.scope or {}, options.environment
  if type(scopes) == "string" then
    scopes = {}
    for scope in gmatch(options.scope, "[^ ]+") do scopes[#scopes + 1] = scope end
  end
  for _, scope in ipairs(scopes) do
    if match(scope, '[%c%s"\\\127-\255]') then fail("a scope in protect can't have blanks, quotes or backslashes.") end
  end
  if not scopes[1] and options.scope ~= nil then
    fail("a scope in protect is empty. Leave it out if any good credential will do.")
  end
  if environment and environment ~= "live" and environment ~= "test" then
    fail("the option “environment” of protect is live or test.")
  end
  local prefix = concat({ config.digest_key, options.audience or "", options.assertion or "", "" }, "\0")
  return { scopes = scopes, environment = environment, audience = options.audience, assertion = options.assertion,
    realm = options.realm or "keyportal", keep_credential = options.keep_credential, prefix = prefix }
end

local function plan_of(options)
  local first, scope = next(options)
  -- Then there is no loop, at which LuaJIT would stop.
  local is_short = first == "scope" and type(scope) == "string" and next(options, first) == nil
  local of, written = is_short and plans_by_scope or plans, is_short and scope or ""
  if not is_short then
    for name, value in pairs(options) do
      written = written .. name .. "\0" .. (type(value) == "table" and concat(value, "\0") or tostring(value)) .. "\0\0"
    end
  end
  local plan = of[written]
  if not plan then
    plan = new_plan(options)
    of[written] = plan
  end
  return plan
end

-- Remove every header that a program behind could take for one of ours: CGI, WSGI and PHP read all odd characters as hyphens.
-- By default nginx drops such names itself.
local function remove_forged()
  for name in pairs(ngx.req.get_headers(0)) do
    if match(name, "^x[^%w]keyportal[^%w]") then ngx.req.clear_header(name) end
  end
end

local NOBODY = {} -- whose a preflight is

-- The service behind gets the identity, never the credential. Each header overwrites what a client sent; nil removes it.
local function identify(identity, plan)
  local set = ngx.req.set_header
  if not plan.keep_credential then set("Authorization", nil) end
  set("X-Keyportal-Key", identity.key)
  set("X-Keyportal-Owner", identity.owner)
  set("X-Keyportal-Scopes", identity.scopes)
  set("X-Keyportal-Environment", identity.environment)
  set("X-Keyportal-Kind", identity.kind)
  set("X-Keyportal-Assertion", identity.assertion)
end

-- The one credential in an Authorization header, read as strictly as the portal reads it (RFC 6750); nil and why there is none.
local function credential_of(header)
  if header == nil then return nil, "missing_credential" end
  if #header > MAX_HEADER then return nil, "malformed_request" end
  local scheme, credential = match(header, "^(%a+) +([%w%-._~+/]+=*) *$")
  if scheme and lower(scheme) == "bearer" then return credential end
  local other, parameters = match(header, "^([^ ]*) ?(.*)$")
  if not match(other, "^[%w-]*%w[%w-]*$") or lower(other) == "bearer" then return nil, "malformed_request" end
  local has_ours = match(lower(parameters), ",%s*bearer%f[^%w_]")
  return nil, has_ours and "malformed_request" or "missing_credential"
end

-- Before a browser sends a credential, it asks whether it may. The preflight of an app that the operator named is the API's.
local function is_preflight()
  return ngx.req.get_method() == "OPTIONS" and match(ngx.var.http_access_control_request_method or "", "^%a+$")
end

local admit

-- Let in by what only the portal knows.
local function admit_unknown(plan, header, origin)
  local credential, code = credential_of(header)
  if not credential then return refuse(plan, { code = code }, origin) end
  local name = digest(plan.prefix, credential)
  if join(name) then return admit(plan, header, origin) end
  local identity, refusal, entry = ask(credential, plan, name)
  if entry then announce(entry, clock() + entry.ahead, refusal) end
  if refusal then return refuse(plan, refusal, origin) end
  return identify(identity, plan)
end

-- Check by a record. Without a loop on the way of a good credential, so that LuaJIT makes one piece of machine code of it.
function admit(plan, header, origin)
  local now = clock()
  -- The usual form need not be looked at closely: there is no entry of what is no credential.
  local is_usual = header and sub(header, 1, 7) == "Bearer " and byte(header, 8) ~= BLANK and byte(header, -1) ~= BLANK
  local credential = is_usual and sub(header, 8) or credential_of(header)
  local entry = credential and find(digest(plan.prefix, credential), now)
  if not entry then return admit_unknown(plan, header, origin) end
  local at, address, refusal = now + entry.ahead, address_of(), nil
  if not entry.good[plan] or entry.good_until <= at then
    refusal = check(entry, plan, at, address)
    -- Where it was refused before, there is none yet.
    if not refusal and plan.assertion and not entry.assertion then return admit_unknown(plan, header, origin) end
    entry.good[plan] = not refusal and not entry.networks[1] or nil
  end
  if entry.retires_at or entry.key_expires_at then announce(entry, at, refusal) end
  count(entry, refusal and refusal.code or "accepted", refusal and "" or address or "", at)
  if refusal then return refuse(plan, refusal, origin) end
  return identify(entry, plan)
end

-- Let a request in if its credential is good, and end it if not. For access_by_lua_block.
function M.protect(options)
  if not config then return refuse_all(mistake) end
  local is_written, plan = pcall(plan_of, options or {})
  if not is_written then return refuse_all(plan) end
  local origin
  if config.has_odd_headers then remove_forged() end
  if config.origins then
    origin = config.origins[ngx.var.http_origin]
    if origin and is_preflight() then return identify(NOBODY, plan) end
  end
  return admit(plan, ngx.var.http_authorization, origin)
end

---- The start ----

local function target_of(option, address)
  local scheme, rest = match(address, "^(https?)://(.+)$")
  local path = match(address, "^(unix:/.+)$")
  if path and option == "address" then return { path = path } end
  local host, port = match(rest or "", "^(%[[%x:]+%]):?(%d*)/?$")
  if not host then host, port = match(rest or "", "^([%w.-]+):?(%d*)/?$") end
  if not host then fail("the option “%s” of start has to be like https://portal.example.com, with nothing behind.", option) end
  local is_of_this_machine = match(host, "^127%.[%d.]+$") or host == "localhost" or host == "[::1]"
  return { host = host, port = tonumber(port) or (scheme == "https" and 443 or 80), tls = scheme == "https",
    is_open = scheme == "http" and not is_of_this_machine }
end

local function new_config(options)
  if not shared then fail("add “lua_shared_dict keyportal 32m;” to http {}.") end
  check_options("start", options, OF_START)
  if not options.portal then fail "start needs the option “portal”, such as portal = \"https://portal.example.com\"." end
  if not options.key_file then fail "start needs the option “key_file”: the path of the file with nginx's own key." end
  local portal, service, origins = options.portal:gsub("/$", ""), options.service or "nginx", {}
  if not match(service, "^%l[%l%d_]*$") or #service > 16 then
    fail "the option “service” of start is 1 to 16 small letters, digits and _, a letter first."
  end
  for _, origin in ipairs(options.browser_apps or {}) do origins[origin] = origin end
  local public = target_of("portal", portal)
  local target = options.address and target_of("address", options.address) or public
  target.name = match(public.host, "^[%w.-]+$") -- without a name, no certificate is checked for it
  if target.tls and not target.name then fail "over https, the option “portal” of start has to have a name, not an address." end
  shared:safe_add("key", random(32))
  return { portal = portal, address = options.address or portal, host = match(portal, "^https?://([^/]+)"), target = target,
    key_file = options.key_file, service = service, origins = next(origins) and origins,
    has_odd_headers = options.has_odd_headers, digest_key = shared:get "key" }
end

-- Begin to hear of changes and to report calls. For init_worker_by_lua_block.
function M.start(options)
  if not ngx.worker.id() then return end -- no process that answers requests
  local is_written, found = pcall(new_config, options)
  if not is_written then
    mistake = found
    return log_fault(mistake)
  end
  config = found
  if config.target.is_open then
    log_fault(format("keys travel to %s in plain text, and others on the way may read them. Have the portal at https, unless "
      .. "this network is yours alone.", config.address))
  end
  ngx.timer.at(0, poll)
  ngx.timer.every(POLL_EVERY, poll)
  ngx.timer.every(REPORT_EVERY, report)
end

return M
