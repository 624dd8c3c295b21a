// Package echosession puts sessions into echo, version 5.
//
//	e := echo.New()
//	e.Use(echosession.New(sessions))
//	e.GET("/", func(c *echo.Context) error {
//		n, err := session.Increment(echosession.From(c), visits, 1)
//		if err != nil {
//			return err
//		}
//		return c.String(http.StatusOK, strconv.Itoa(n))
//	})
//
// The session's writer stands in front of echo's Response, so Status, Size and
// Committed say what the client got, also if the session could not be saved.
//
// For echo, version 4, there is package echo4session.
package echosession
