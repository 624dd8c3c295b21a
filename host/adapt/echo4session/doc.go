// Package echo4session puts sessions into echo, version 4.
//
//	e := echo.New()
//	e.Use(echo4session.New(sessions))
//	e.GET("/", func(c echo.Context) error {
//		n, err := session.Increment(echo4session.From(c), visits, 1)
//		if err != nil {
//			return err
//		}
//		return c.String(http.StatusOK, strconv.Itoa(n))
//	})
//
// Handlers get a Response of their own, behind which the session's writer stands, and
// then the Response that middlewares further out know. Status, Size and Committed
// of both say what the client got, also if the session could not be saved.
//
// For echo, version 5, there is package echosession.
package echo4session
