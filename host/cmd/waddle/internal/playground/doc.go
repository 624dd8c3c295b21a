// Package playground is a page that shows a session and its engine at work, and
// the JSON interface beneath it. It is what "waddle run" serves.
//
// The page shows the visitor's session as it is: its values, whether it is new
// or modified, when it ends, the cookie that came and the one that went, and
// what the storage engine did for each request, call by call. Values can be
// set, incremented and removed; logging in gives the session a new id, logging
// out ends it. Whoever is logged in sees where else, and can end those sessions;
// a message waits for the next page, a token for a form can be had and checked.
// All settings in force are listed, and whether sessions are sealed.
//
// # The JSON interface
//
//	GET    /api/session                  {"values":{…},"new":bool,"modified":bool,"expires":time}
//	PUT    /api/session/{key}            the body, one JSON value, becomes the value
//	DELETE /api/session/{key}            removes the value; that there is none is no error
//	POST   /api/session/{key}/increment  {"value":n}; atomic, an absent value counts as 0
//	POST   /api/login                    {"user":"name"}: binds the session to a user, sets the value user,
//	                                     gives the session a new id; with "remember":true the browser keeps
//	                                     the cookie when it closes, with false it does not
//	POST   /api/logout                   ends the session
//	GET    /api/devices                  {"user":"name","devices":[{"handle":…,"browser":…,"current":bool,…},…]}
//	DELETE /api/devices                  {"ended":n}: ends all sessions of the user but this one
//	DELETE /api/devices/{handle}         {"ended":1}: ends one session of the user
//	POST   /api/flash                    {"message":"text"}: a message that is shown once
//	DELETE /api/flash                    {"messages":[…]}: takes what waits
//	POST   /api/csrf                     {"token":"…"}: a token for a form of this session
//	POST   /api/csrf/check               {"token":"…"} is answered with {"valid":bool}
//	GET    /api/about                    the engine and the settings in force
//
// PUT and DELETE of a value, login, logout and POST of a message answer with the
// session, in the form that GET has, as it was at the end of the handler: a
// change is then still "modified", since it is saved as the response begins.
// "expires" is empty for a session that is not stored and not about to be. Times
// are RFC 3339 in UTC. Values
// keep every digit of their numbers.
//
// A request that fails changes nothing and is answered with {"error":"…"}:
//
//	400  no JSON, or not of the form asked for; a key that is not 1 to 255 bytes
//	     of printable UTF-8; a name or message that is too long
//	403  a change that a page of another origin asked for
//	404  no such address; no such session among the user's
//	405  a method that the address does not have
//	409  an increment of what is no 64-bit integer or has no room left above
//	     it; a session that another request ended; one with too many values;
//	     a question about devices while nobody is logged in
//	413  a body above 64 KiB, or a session above Settings.MaxSize
//	415  a body that says it is something else than JSON
//	421  a Host that the playground was not told of, see [Config.Hosts]
//	503  the storage is not available, or has no space left; Retry-After says
//	     when to try again
//
// Each answer of the interface has a Server-Timing header with the engine's
// calls in milliseconds, and Waddle-Cookie-Received and Waddle-Cookie-Set with
// the session cookie, all but the beginning of its value masked.
package playground
