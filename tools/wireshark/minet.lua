-- Dissects MINET's wire format, version 1 (PROTOCOL.md): captures of `minet run --pcap` and `minet trace --pcap` (link type
-- USER0), clear-text UDP on port 7400, and raw Ethernet of type 0x88b5.
--
--   wireshark -X lua_script:tools/wireshark/minet.lua FILE

local minet = Proto("minet", "MINET")
local vios = Proto("vios", "VIOS cluster protocol over MINET")

local kinds = { [0] = "link", [1] = "message", [2] = "receipt", [3] = "response", [4] = "frame", [5] = "acknowledgement" }
local priorities = { [0] = "urgent", [1] = "high", [2] = "normal", [3] = "low" }
local origins = { [0] = "daemon", [1] = "command line", [2] = "API", [3] = "third party" }
local link_opcodes = { [1] = "hello", [2] = "heartbeat", [3] = "bye", [4] = "refuse", [5] = "announce", [6] = "quiesce",
  [7] = "enable", [8] = "seek" }
local option_codes = { [2] = "sender's name", [3] = "group", [4] = "trace", [5] = "again" }
local statuses = { [0] = "done", [1] = "not supported", [2] = "no such port", [3] = "full", [4] = "too large",
  [5] = "port closed", [6] = "not allowed", [7] = "failed", [8] = "stored at an earlier try", [64] = "node down",
  [65] = "timed out", [66] = "reset", [67] = "canceled", [68] = "closed", [69] = "no room" }
local ways = { [0] = "in", [1] = "out" }

local f = {
  way = ProtoField.uint8("minet.way", "Way", base.DEC, ways),
  channel = ProtoField.uint32("minet.channel", "Channel"),
  length = ProtoField.uint16("minet.length", "Length"),
  version = ProtoField.uint8("minet.version", "Version", base.DEC, nil, 0xf0),
  header = ProtoField.uint8("minet.header_words", "Header length (8 bytes)", base.DEC, nil, 0x0f),
  kind = ProtoField.uint8("minet.kind", "Kind", base.DEC, kinds),
  flags = ProtoField.uint16("minet.flags", "Flags", base.HEX),
  priority = ProtoField.uint16("minet.priority", "Priority", base.DEC, priorities, 0x0003),
  first = ProtoField.bool("minet.first", "First", 16, nil, 0x0004),
  more = ProtoField.bool("minet.more", "More", 16, nil, 0x0008),
  slice = ProtoField.bool("minet.slice", "Slice", 16, nil, 0x0010),
  offload = ProtoField.bool("minet.offload", "Offload", 16, nil, 0x0020),
  sub = ProtoField.bool("minet.subheader", "Sub-header", 16, nil, 0x0040),
  options = ProtoField.bool("minet.options", "Options", 16, nil, 0x0080),
  hops = ProtoField.uint16("minet.hops", "Hops left", base.DEC, nil, 0x0700),
  sequenced = ProtoField.bool("minet.sequenced", "Sequenced", 16, nil, 0x0800),
  receipt = ProtoField.bool("minet.receipt_wanted", "Receipt wanted", 16, nil, 0x1000),
  response = ProtoField.bool("minet.response_wanted", "Response wanted", 16, nil, 0x2000),
  source = ProtoField.uint32("minet.source", "Source node"),
  destination = ProtoField.uint32("minet.destination", "Destination node"),
  port = ProtoField.uint32("minet.port", "Destination port, segment or session", base.HEX),
  source_port = ProtoField.uint32("minet.source_port", "Source port", base.HEX),
  incarnation = ProtoField.uint16("minet.incarnation", "Incarnation (low half)", base.HEX),
  slot = ProtoField.uint16("minet.slot", "Slot"),
  transaction = ProtoField.uint64("minet.transaction", "Transaction", base.HEX),
  opcode = ProtoField.uint16("minet.opcode", "Opcode"),
  status = ProtoField.uint16("minet.status", "Status", base.DEC, statuses),
  detail = ProtoField.uint32("minet.detail", "Detail"),
  origin = ProtoField.uint8("minet.origin", "Origin", base.DEC, origins),
  origin_flags = ProtoField.uint8("minet.origin_flags", "Origin's flags", base.HEX),
  targets = ProtoField.uint16("minet.targets", "Targets"),
  origin_id = ProtoField.uint32("minet.origin_id", "Origin's number"),
  deadline = ProtoField.uint32("minet.deadline_ms", "Deadline (ms)"),
  tag = ProtoField.uint32("minet.tag", "Tag"),
  life = ProtoField.uint32("minet.life", "Incarnation of the sender", base.HEX),
  peer_life = ProtoField.uint32("minet.peer_life", "Incarnation of the receiver", base.HEX),
  epoch = ProtoField.uint32("minet.epoch", "Epoch"),
  floor = ProtoField.uint32("minet.floor", "Floor"),
  number = ProtoField.uint32("minet.number", "Number"),
  offset = ProtoField.uint32("minet.offset", "Offset"),
  option = ProtoField.uint8("minet.option", "Option", base.DEC, option_codes),
  option_value = ProtoField.bytes("minet.option_value", "Value"),
  link_opcode = ProtoField.uint8("minet.link", "Link message", base.DEC, link_opcodes),
  payload = ProtoField.bytes("minet.payload", "Payload"),
}
minet.fields = {}
for _, field in pairs(f) do table.insert(minet.fields, field) end

local v = {
  version = ProtoField.uint8("vios.version", "Version"),
  receipt = ProtoField.bool("vios.receipt", "Receipt notification", 8, nil, 0x01),
  origin = ProtoField.uint8("vios.origin", "Origin", base.DEC, { [1] = "CLI", [2] = "API" }),
  node = ProtoField.uint32("vios.transaction.node", "Transaction: node"),
  life = ProtoField.uint32("vios.transaction.life", "Transaction: life", base.HEX),
  number = ProtoField.uint64("vios.transaction.number", "Transaction: number"),
  status = ProtoField.uint16("vios.status", "Status", base.DEC, statuses),
  detail = ProtoField.uint32("vios.detail", "Detail"),
  opcode = ProtoField.uint16("vios.opcode", "Opcode", base.HEX),
  broadcast = ProtoField.bool("vios.broadcast", "Broadcast", 16, nil, 0x0001),
  response = ProtoField.bool("vios.response_wanted", "Response wanted", 16, nil, 0x0002),
  originator = ProtoField.uint8("vios.originator", "Originator", base.DEC, origins),
  name = ProtoField.string("vios.name", "Originator's name"),
  receipts = ProtoField.uint64("vios.receipts", "Receipts array", base.HEX),
  receipts_len = ProtoField.uint32("vios.receipts_len", "Length of the receipts array"),
  length = ProtoField.uint32("vios.length", "Length of the payload"),
  target = ProtoField.uint32("vios.target", "Target node"),
  payload = ProtoField.bytes("vios.payload", "Payload"),
}
vios.fields = {}
for _, field in pairs(v) do table.insert(vios.fields, field) end

-- Adds a field and moves on; nothing beyond the end.
local function add(tree, field, buffer, at, length)
  if at + length <= buffer:len() then tree:add_le(field, buffer(at, length)) end
  return at + length
end

local function dissect_vios(buffer, pinfo, tree)
  if buffer:len() < 56 or buffer(0, 4):string() ~= "VIOS" then return false end
  local part = tree:add(vios, buffer())
  part:add(v.version, buffer(4, 1))
  part:add(v.receipt, buffer(5, 1))
  part:add(v.origin, buffer(6, 1))
  add(part, v.node, buffer, 8, 4)
  add(part, v.life, buffer, 12, 4)
  add(part, v.number, buffer, 16, 8)
  add(part, v.status, buffer, 24, 2)
  add(part, v.detail, buffer, 28, 4)
  add(part, v.opcode, buffer, 32, 2)
  add(part, v.broadcast, buffer, 34, 2)
  add(part, v.response, buffer, 34, 2)
  part:add(v.originator, buffer(36, 1))
  local name, targets = buffer(37, 1):uint(), buffer(38, 2):le_uint()
  add(part, v.receipts, buffer, 40, 8)
  add(part, v.receipts_len, buffer, 48, 4)
  add(part, v.length, buffer, 52, 4)
  local at = 56
  for _ = 1, targets do at = add(part, v.target, buffer, at, 4) end
  if name > 0 and at + name <= buffer:len() then part:add(v.name, buffer(at, name)) end
  at = math.ceil((at + name) / 8) * 8
  if at < buffer:len() then part:add(v.payload, buffer(at)) end
  pinfo.cols.protocol = "VIOS"
  return true
end

local function dissect_message(buffer, pinfo, tree)
  if buffer:len() < 16 then return end
  local version, words = bit.rshift(buffer(0, 1):uint(), 4), bit.band(buffer(0, 1):uint(), 15)
  local kind, flags, head = buffer(1, 1):uint(), buffer(2, 2):le_uint(), words * 8
  if version ~= 1 or head < 16 or head > buffer:len() then return end
  local source, destination = buffer(4, 4):le_uint(), buffer(8, 4):le_uint()
  local name = kinds[kind] or ("kind " .. kind)
  pinfo.cols.protocol = "MINET"
  pinfo.cols.info = string.format("%s %u > %u", name, source, destination)
  local part = tree:add(minet, buffer(0, head), string.format("MINET %s, node %u > %u", name, source, destination))
  part:add(f.version, buffer(0, 1))
  part:add(f.header, buffer(0, 1))
  part:add(f.kind, buffer(1, 1))
  local set = part:add_le(f.flags, buffer(2, 2))
  for _, flag in ipairs({ "priority", "first", "more", "slice", "offload", "sub", "options", "hops", "sequenced", "receipt",
    "response" }) do set:add_le(f[flag], buffer(2, 2)) end
  add(part, f.source, buffer, 4, 4)
  add(part, f.destination, buffer, 8, 4)
  add(part, f.port, buffer, 12, 4)
  local at = 16
  local has = function(mask) return bit.band(flags, mask) ~= 0 end
  if kind >= 1 and kind <= 3 and head >= 32 then
    at = add(part, f.source_port, buffer, at, 4)
    at = add(part, f.incarnation, buffer, at, 2)
    at = add(part, f.slot, buffer, at, 2)
    at = add(part, f.transaction, buffer, at, 8)
    if has(0x0040) and at + 24 <= head then
      pinfo.cols.info:append(string.format(" opcode %u", buffer(at, 2):le_uint()))
      at = add(part, f.opcode, buffer, at, 2)
      at = add(part, f.status, buffer, at, 2)
      at = add(part, f.detail, buffer, at, 4)
      at = add(part, f.origin, buffer, at, 1)
      at = add(part, f.origin_flags, buffer, at, 1)
      at = add(part, f.targets, buffer, at, 2)
      at = add(part, f.origin_id, buffer, at, 4)
      at = add(part, f.deadline, buffer, at, 4)
      at = add(part, f.tag, buffer, at, 4)
    end
    if has(0x0800) and at + 24 <= head then
      for _, field in ipairs({ f.life, f.peer_life, f.epoch, f.floor, f.number, f.offset }) do
        at = add(part, field, buffer, at, 4)
      end
    end
    if has(0x0080) then
      while at + 2 <= head and buffer(at, 1):uint() ~= 0 do
        local length = buffer(at + 1, 1):uint()
        if at + 2 + length > head then break end
        part:add(f.option, buffer(at, 1))
        if length > 0 then part:add(f.option_value, buffer(at + 2, length)) end
        at = at + 2 + length
      end
    end
  end
  if head >= buffer:len() then return end
  local body = buffer(head):tvb()
  if kind == 0 then
    part:add(f.link_opcode, body(0, 1))
    pinfo.cols.info:append(" " .. (link_opcodes[body(0, 1):uint()] or "?"))
  elseif kind == 4 and not has(0x0010) then
    -- A virtio-net header of ten bytes stands before an offloaded frame.
    local skip = has(0x0020) and 10 or 0
    if body:len() > skip then Dissector.get("eth_withoutfcs"):call(body(skip):tvb(), pinfo, tree) end
  elseif not dissect_vios(body, pinfo, tree) then
    tree:add(f.payload, body())
  end
end

-- In captures: the way, three zeros, the channel; then the message.
function minet.dissector(buffer, pinfo, tree)
  if buffer:len() < 8 then return 0 end
  local part = tree:add(minet, buffer(0, 8), "MINET capture")
  part:add(f.way, buffer(0, 1))
  part:add_le(f.channel, buffer(4, 4))
  dissect_message(buffer(8):tvb(), pinfo, tree)
  return buffer:len()
end

local on_udp = Proto("minet_udp", "MINET over UDP")
function on_udp.dissector(buffer, pinfo, tree)
  dissect_message(buffer, pinfo, tree)
  return buffer:len()
end

local on_ether = Proto("minet_ether", "MINET over Ethernet")

function on_ether.dissector(buffer, pinfo, tree)
  if buffer:len() < 2 then return 0 end
  local length = buffer(0, 2):le_uint()
  tree:add(on_ether, buffer(0, 2))
  if length > 0 and 2 + length <= buffer:len() then dissect_message(buffer(2, length):tvb(), pinfo, tree) end
  return buffer:len()
end

DissectorTable.get("wtap_encap"):add(wtap.USER0, minet)
DissectorTable.get("udp.port"):add(7400, on_udp)
DissectorTable.get("ethertype"):add(0x88b5, on_ether)
