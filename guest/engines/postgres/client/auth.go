package client

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// login answers the server's questions until it lets the user in.
type login struct {
	conn    *Conn
	config  *Config
	private bool // nobody in between can read along
	over    bool
	scram   *scram
}

func (l *login) answer(m pgproto3.AuthenticationResponseMessage) error {
	switch m := m.(type) {
	case *pgproto3.AuthenticationOk:
		if l.scram != nil && !l.scram.proven {
			return fmt.Errorf("%w: the server lets the user in and has not proven that it knows the password", ErrPassword)
		}
		l.over = true
		return nil
	case *pgproto3.AuthenticationCleartextPassword:
		if !l.private {
			return fmt.Errorf("%w: the server asks for it in clear text, and the connection has no TLS: "+
				"use TLS, or let the server use scram-sha-256", ErrPassword)
		}
		l.conn.send(&pgproto3.PasswordMessage{Password: l.config.Password})
	case *pgproto3.AuthenticationMD5Password:
		inner := md5Hex(l.config.Password + l.config.User)
		l.conn.send(&pgproto3.PasswordMessage{Password: "md5" + md5Hex(inner+string(m.Salt[:]))})
	case *pgproto3.AuthenticationSASL:
		if !slices.Contains(m.AuthMechanisms, scramMechanism) {
			return fmt.Errorf("%w: the server takes %q, and this engine knows only %s", ErrPassword, m.AuthMechanisms, scramMechanism)
		}
		l.scram = newSCRAM(l.config)
		l.conn.send(&pgproto3.SASLInitialResponse{AuthMechanism: scramMechanism, Data: l.scram.first()})
	case *pgproto3.AuthenticationSASLContinue:
		if l.scram == nil {
			return l.conn.lose(errors.New("the server goes on with a log-in that has not begun"))
		}
		final, err := l.scram.final(m.Data)
		if err != nil {
			return err
		}
		l.conn.send(&pgproto3.SASLResponse{Data: final})
	case *pgproto3.AuthenticationSASLFinal:
		if l.scram == nil {
			return l.conn.lose(errors.New("the server ends a log-in that has not begun"))
		}
		return l.scram.prove(m.Data)
	default:
		return fmt.Errorf("%w: the server wants %T, and this engine knows scram-sha-256, md5 and password", ErrPassword, m)
	}
	return l.conn.Flush()
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
