// Package playground is a page that shows a session and its engine at work, with
// the JSON interface beneath it. "waddle run" serves it.
//
// The page shows the visitor's session: its values, whether it is new or modified,
// when it ends, the cookie received and the one set, and the storage engine's work
// for each request, call by call. Visitors can set, increment and remove values.
// Logging in gives the session a new id, logging out ends it. A logged-in visitor
// sees the user's other sessions and can end them, leave a message for the next
// page, and get and check a token for a form. The page lists all settings in force
// and says whether sessions are sealed.
//
// # The JSON interface
//
//	GET    /api/session                  {"values":{…},"new":bool,"modified":bool,"expires":time}
//	PUT    /api/session/{key}            the body, one JSON value, becomes the value
//	DELETE /api/session/{key}            removes the value; a missing one is not an error
//	POST   /api/session/{key}/increment  {"value":n}; atomic, an absent value counts as 0
//	POST   /api/login                    {"user":"name"}: binds the session to a user, sets the value user,
//	                                     gives the session a new id; with "remember":true the browser keeps
//	                                     the cookie when it closes, with false it does not
//	POST   /api/logout                   ends the session
//	GET    /api/devices                  {"user":"name","devices":[{"publicId":…,"browser":…,"current":bool,…},…]}
//	DELETE /api/devices                  {"ended":n}: ends all sessions of the user but this one
//	DELETE /api/devices/{publicId}         {"ended":1}: ends one session of the user
//	POST   /api/flash                    {"message":"text"}: leaves a message to show once
//	DELETE /api/flash                    {"messages":[…]}: takes the waiting messages
//	POST   /api/csrf                     {"token":"…"}: a token for a form of this session
//	POST   /api/csrf/check               {"token":"…"} is answered with {"valid":bool}
//	GET    /api/about                    the engine and the settings in force
//
// PUT and DELETE of a value, login, logout and POST of a message answer with the
// session, in the form of GET, as it was at the end of the handler: a change is
// then still "modified", since it is saved as the response begins. "expires" is
// empty for a session that is not stored and will not be. Times are RFC 3339 in
// UTC. Values keep every digit of their numbers.
//
// A request that fails changes nothing and gets the answer {"error":"…"}:
//
//	400  no JSON, or not of the required form; a key that is not 1 to 255 bytes
//	     of printable UTF-8; a name or message that is too long
//	403  a change requested by a page of another origin
//	404  no such address; no such session among the user's
//	405  a method that the address does not have
//	409  an increment of a value that is not a 64-bit integer, or is the
//	     largest; a session that another request ended; one with too many
//	     values; a request about devices while nobody is logged in
//	413  a body above 64 KiB, or a session above Settings.MaxSize
//	415  a body whose Content-Type is not JSON
//	421  a Host that the playground does not answer for, see [Config.Hosts]
//	503  the storage is not available, or has no space left; Retry-After says
//	     when to try again
//
// Each answer of the interface has a Server-Timing header with the engine's calls
// in milliseconds, and Waddle-Cookie-Received and Waddle-Cookie-Set with the
// session cookie, masked except for the beginning of its value.
package playground
