use crate::waddle::{expired, fail, Conn, Errno, Error, EXPECT_ABSENT, EXPECT_ANY};

pub const DESCRIPTION: &str = "name\0example-redis\0version\01.0.0\0capabilities\0cas remote\0max_key\01024\0max_value\0262144\0";
const MAX_KEY: usize = 1024;
const MAX_VALUE: usize = 262144;
const HEADER: usize = 8; // of a record: when it expires
const TIMEOUT_MS: i64 = 2000;

/// Begins both scripts: whether the record is there at ARGV[1]. The host's time decides, of
/// which half fits into a number of Lua.
const LIVE: &str = "
local record, live = redis.call('GETRANGE', KEYS[1], 0, 15), false
if #record >= 8 then
  local elow, ehigh = struct.unpack('<I4i4', record)
  local low, high = struct.unpack('<I4i4', ARGV[1])
  live = (elow == 0 and ehigh == 0) or high < ehigh or (high == ehigh and low < elow)
end
";
const SET: &str = "
if ARGV[2] == 'absent' then
  if live then return 0 end
elseif ARGV[2] ~= 'any' then
  if not live or string.sub(string.sub(record, 9) .. string.rep('\\0', 8), 1, 8) ~= ARGV[2] then return 0 end
end
if ARGV[3] == '' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1";
const TOUCH: &str = "
if not live then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1])
else redis.call('SETRANGE', KEYS[1], 0, ARGV[2]) redis.call('PERSIST', KEYS[1]) end
if ARGV[3] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1";
const CLEAR: &str = "
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = page[1]
  for _, name in ipairs(page[2]) do redis.call('UNLINK', name) end
until cursor == '0'";

#[derive(Default)]
pub struct Store {
    address: String,
    prefix: String,
    conn: Option<Conn>,
    input: Vec<u8>, // what was received and not yet taken
    record: Vec<u8>, // that session_get returns
    buffer: Vec<u8>,
}

impl Store {
    pub fn exchange(&mut self, size: usize) -> *mut u8 {
        if size > MAX_KEY + MAX_VALUE {
            return std::ptr::null_mut();
        }
        if size > self.buffer.len() {
            self.buffer = vec![0; size];
        }
        self.buffer.as_mut_ptr()
    }

    /// The settings come as alternating names and values, each ended by a NUL.
    pub fn open(&mut self, config: &[u8]) -> Result<(), Error> {
        self.prefix = "waddle:".into();
        let text = String::from_utf8_lossy(config);
        let mut parts = text.split('\0');
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            match name {
                "address" => self.address = value.into(),
                "prefix" => self.prefix = value.into(),
                "shard" | "shards" | "memory_limit" => {}
                _ if name.starts_with("host_") => {}
                _ => {
                    let name: String = name.chars().take(100).collect();
                    return Err(fail(Error::Invalid, &format!("the setting {} is unknown: this engine has address, prefix", name)));
                }
            }
        }
        if self.address.is_empty() {
            return Err(fail(Error::Invalid, "the setting address is missing: must be tcp://host:port, tls://host:port or unix:///path"));
        }
        if self.prefix.contains(&['*', '?', '[', ']', '\\'][..]) {
            return Err(fail(Error::Invalid, "the setting prefix must have none of *?[]\\"));
        }
        self.call(&[b"PING"]).map(|_| ())
    }

    pub fn get(&mut self, key: &[u8], now: i64) -> Result<&[u8], Error> {
        let name = self.name(key);
        self.record = self.call(&[b"GET", &name])?.ok_or(Error::NotFound)?;
        if self.record.len() < HEADER {
            return Err(Error::Corrupt);
        }
        let mut expires = [0; HEADER];
        expires.copy_from_slice(&self.record[..HEADER]);
        if expired(i64::from_le_bytes(expires), now) {
            return Err(Error::NotFound);
        }
        Ok(&self.record[HEADER..])
    }

    pub fn set(&mut self, key: &[u8], value: &[u8], expires: i64, now: i64, expect: i64) -> Result<(), Error> {
        if key.len() > MAX_KEY || value.len() > MAX_VALUE {
            return Err(fail(Error::TooLarge, "the key or value is longer than this store takes"));
        }
        let revision = expect.to_le_bytes();
        let expected: &[u8] = match expect {
            EXPECT_ANY => b"any",
            EXPECT_ABSENT => b"absent",
            _ => &revision,
        };
        let mut record = Vec::new();
        if !expired(expires, now) {
            record.extend_from_slice(&expires.to_le_bytes());
            record.extend_from_slice(value);
        }
        self.script(SET, key, Error::Conflict, &[&now.to_le_bytes(), expected, &record, &drop_after(expires, now)])
    }

    pub fn touch(&mut self, key: &[u8], expires: i64, now: i64) -> Result<(), Error> {
        let header = expires.to_le_bytes();
        let header: &[u8] = if expired(expires, now) { b"" } else { &header };
        self.script(TOUCH, key, Error::NotFound, &[&now.to_le_bytes(), header, &drop_after(expires, now)])
    }

    pub fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        let name = self.name(key);
        self.call(&[b"DEL", &name]).map(|_| ())
    }

    /// Redis serves nobody else meanwhile. A store for many users removes a page at a time.
    pub fn clear(&mut self) -> Result<(), Error> {
        let pattern = format!("{}*", self.prefix);
        self.call(&[b"EVAL", CLEAR.as_bytes(), b"0", pattern.as_bytes()]).map(|_| ())
    }

    fn name(&self, key: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), key].concat()
    }

    /// Runs a script over a record. An answer of 0 is the error `no`.
    fn script(&mut self, script: &str, key: &[u8], no: Error, args: &[&[u8]]) -> Result<(), Error> {
        let (name, script) = (self.name(key), [LIVE, script].concat());
        let mut all: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), b"1", &name];
        all.extend_from_slice(args);
        match self.call(&all)? {
            Some(answer) if answer == b"0" => Err(no),
            _ => Ok(()),
        }
    }

    /// Sends a command and returns what Redis answers.
    fn call(&mut self, args: &[&[u8]]) -> Result<Option<Vec<u8>>, Error> {
        if !self.conn.as_ref().map_or(false, Conn::alive) {
            self.conn = None; // the server may have closed it while it was idle
            self.input.clear();
            self.conn = Some(Conn::dial(&self.address, TIMEOUT_MS).or_else(|errno| Err(self.lost(errno)))?);
        }
        let mut command = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            command.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            command.extend_from_slice(arg);
            command.extend_from_slice(b"\r\n");
        }
        let conn = self.conn.as_mut().unwrap();
        conn.write(&command, TIMEOUT_MS).or_else(|errno| Err(self.lost(errno)))?;
        let line = self.take_line()?;
        let text = String::from_utf8_lossy(&line[1..]).into_owned();
        match line[0] {
            b'-' => {
                // Only the first word: the rest may have a key.
                Err(fail(Error::Unavailable, text.split(' ').next().unwrap_or("")))
            }
            b'$' => match text.parse::<usize>() {
                Err(_) => Ok(None), // -1
                Ok(n) if n > HEADER + MAX_VALUE => Err(self.lost(0)),
                Ok(n) => {
                    while self.input.len() < n + 2 {
                        self.more()?;
                    }
                    let value = self.input[..n].to_vec();
                    self.input.drain(..n + 2);
                    Ok(Some(value))
                }
            },
            _ => Ok(Some(text.into_bytes())),
        }
    }

    /// The next line, without its end. It has at least one byte.
    fn take_line(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(end) = self.input.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.input.drain(..end + 1).collect();
                return if line.len() > 2 { Ok(line[..line.len() - 2].to_vec()) } else { Err(self.lost(0)) };
            }
            if self.input.len() > 4096 {
                return Err(self.lost(0));
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<(), Error> {
        let mut piece = [0; 16384];
        let n = match self.conn.as_mut().unwrap().read(&mut piece, TIMEOUT_MS) {
            Ok(n) if n > 0 => n,
            Ok(_) => return Err(self.lost(0)),
            Err(errno) => return Err(self.lost(errno)),
        };
        self.input.extend_from_slice(&piece[..n]);
        Ok(())
    }

    /// Ends the connection: an answer that comes later must not be taken for another's. Nobody
    /// knows whether the command was done, which Unavailable says.
    fn lost(&mut self, errno: Errno) -> Error {
        let why = self.conn.as_ref().map_or(String::new(), Conn::error);
        self.conn = None;
        let error = if errno == 2 { Error::Denied } else { Error::Unavailable };
        fail(error, &format!("the server: error {} of WASI {}", errno, why))
    }
}

/// When Redis drops a record, by its own clock: a minute after it has expired. 0 means never.
fn drop_after(expires: i64, now: i64) -> Vec<u8> {
    let ms = expires.wrapping_sub(now);
    let after = if expires != 0 && ms > 0 && ms < 1 << 40 { ms + 60_000 } else { 0 };
    after.to_string().into_bytes()
}
