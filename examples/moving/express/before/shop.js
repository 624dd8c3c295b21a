// A shop whose sessions are those of express-session, in files:
//   npm install && node shop.js -addr 127.0.0.1:8080 -files sessions
'use strict';

const express = require('express');
const session = require('express-session');
const FileStore = require('session-file-store')(session);

const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const [host, port] = option('-addr', '127.0.0.1:8080').split(':');

const app = express();
app.use(session({
  secret: "an example's secret, of 32 bytes",
  store: new FileStore({ path: option('-files', 'sessions'), logFn: () => {} }),
  resave: false,
  saveUninitialized: false,
  cookie: { maxAge: 7 * 24 * 3600 * 1000, httpOnly: true, sameSite: 'lax' },
}));

app.get('/', (req, res) => {
  const { user = 'nobody', cart = [], flash = '' } = req.session;
  delete req.session.flash;
  res.send(`${user} has ${cart.join(' and ') || 'nothing'}. ${flash}`);
});

app.post('/cart', (req, res) => {
  req.session.cart = [...(req.session.cart || []), req.query.item];
  req.session.flash = `Added ${req.query.item}.`;
  res.end();
});

app.post('/log-in', (req, res, next) => {
  const { cart, flash } = req.session;
  req.session.regenerate((err) => {
    if (err) return next(err);
    Object.assign(req.session, { cart, flash, user: req.query.user });
    res.end();
  });
});

app.post('/log-out', (req, res, next) => {
  req.session.destroy((err) => (err ? next(err) : res.clearCookie('connect.sid').end()));
});

const server = app.listen(Number(port), host, () => {
  console.error(`listening on http://${host}:${server.address().port}/`);
});
process.on('SIGTERM', () => server.close(() => process.exit(0)));
process.on('SIGINT', () => server.close(() => process.exit(0)));
