package main

// script is what the server runs in one step. Scripts use nothing that only some
// servers have. Times come as eight bytes, since Lua's numbers are exact to 2^53 only.
type script struct {
	text  string
	sha   string // of the text, by which a server finds it again; a test computes it
	known uint32 // the bit of a connection's notes that says that the server knows it
}

// Bits of a connection's notes.
const (
	knowsConditional = 1 << iota
	knowsTouching
	hasWritten // in this call
)

// conditional is a write under a condition. It answers 1 if it was done, 0 if
// there is another record, and -1 if there is none to replace. It begins by looking for
// a write that is sent again because its answer was lost: that finds its own random number.
var conditional = script{
	text: `local h = redis.call('GETRANGE', KEYS[1], 0, 23)
if #ARGV[4] > 0 and #h >= 16 and string.sub(h, 9, 16) == string.sub(ARGV[4], 9, 16) then return 1 end
` + live + `if ARGV[2] == '' then
 if live then return 0 end
else
 if not live then return -1 end
 if string.sub(string.sub(h, 17) .. '\0\0\0\0\0\0\0\0', 1, 8) ~= ARGV[2] then return 0 end
end
if ARGV[4] == '' then redis.call('DEL', KEYS[1])
elseif ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[4])
else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3]) end
return 1`,
	sha:   "1989da8a3d398128189cf8b9e659935079ffcafb",
	known: knowsConditional,
}

// touching changes an expiry. It answers 1 if the record was there, else 0.
var touching = script{
	text: `local h = redis.call('GETRANGE', KEYS[1], 0, 15)
` + live + `if not live then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) return 1 end
redis.call('SETRANGE', KEYS[1], 0, ARGV[2])
if ARGV[3] == '0' then redis.call('PERSIST', KEYS[1])
else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1`,
	sha:   "ca24400a63ca4fef9614ed44b28b2acedaa9cc1d",
	known: knowsTouching,
}

// live says whether the record h is there at the time ARGV[1].
const live = `local live = false
if #h >= 16 then
 local el, eh = struct.unpack('<I4i4', h)
 local nl, nh = struct.unpack('<I4i4', ARGV[1])
 live = (el == 0 and eh == 0) or nh < eh or (nh == eh and nl < el)
end
`
