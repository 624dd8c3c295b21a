package session

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
)

// maxFormPeek bounds how much of a form is read to find the token in it. A server
// reads as much of a body that the handler left unread.
const maxFormPeek = 256 << 10

// formToken returns the token in a request's form. It reads the beginning of the
// body and gives the body back whole. It parses nothing that the handler may want
// to parse otherwise, and puts nothing into files.
func formToken(r *http.Request) string {
	if token := r.PostForm.Get(CSRFField); token != "" || r.Body == nil {
		return token
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	body := &peekedBody{ReadCloser: r.Body}
	switch kind {
	case "application/x-www-form-urlencoded":
		defer func() { r.Body = body }()
		return urlencodedToken(body)
	case "multipart/form-data":
		defer func() { r.Body = body }()
		return multipartToken(body, params["boundary"])
	}
	return ""
}

func urlencodedToken(body *peekedBody) string {
	_, _ = io.Copy(io.Discard, body.peek())
	form := body.head
	for len(form) > 0 {
		pair, rest, more := bytes.Cut(form, []byte{'&'})
		form = rest
		if !more && body.err != io.EOF {
			break // it may be longer than the part that was read
		}
		name, value, _ := bytes.Cut(pair, []byte{'='})
		if name, err := url.QueryUnescape(string(name)); err != nil || name != CSRFField {
			continue
		}
		token, _ := url.QueryUnescape(string(value))
		return token
	}
	return ""
}

func multipartToken(body *peekedBody, boundary string) string {
	parts := multipart.NewReader(body.peek(), boundary)
	for {
		part, err := parts.NextPart()
		if err != nil {
			return ""
		}
		if part.FormName() == CSRFField && part.FileName() == "" {
			token, err := io.ReadAll(part)
			if err != nil {
				return ""
			}
			return string(token)
		}
	}
}

// peekedBody is a body whose beginning was read once and will be read again.
type peekedBody struct {
	io.ReadCloser
	head []byte
	err  error // what ended the body, if head is all of it
}

// peek returns a reader of the beginning that leaves it in place.
func (b *peekedBody) peek() io.Reader { return (*bodyPeek)(b) }

type bodyPeek peekedBody

func (b *bodyPeek) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	p = p[:min(len(p), maxFormPeek-len(b.head))]
	if len(p) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p)
	b.head, b.err = append(b.head, p[:n]...), err
	return n, err
}

func (b *peekedBody) Read(p []byte) (int, error) {
	switch {
	case len(b.head) > 0:
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	case b.err != nil:
		return 0, b.err
	}
	return b.ReadCloser.Read(p)
}
