// Package tenant runs many tenants in one process. Each has a storage plugin of its own,
// with what that may take, and sessions of its own, with their own cookies and keys. A
// [Host] deploys, replaces and removes them while requests are served, and finds the
// tenant of a request.
//
//	host, err := tenant.NewHost(tenant.HostConfig{Dir: "/srv/tenants"})
//	manifest, err := tenant.ReadManifest("/srv/tenants/alice.json")
//	_, err = host.Deploy(ctx, manifest)
//	http.ListenAndServe(":8080", host.Handler(host.FindByHost, application))
//
// The application is the same for all: [From] tells whose the request is, and
// [session.From] returns the session, which is the tenant's.
package tenant
