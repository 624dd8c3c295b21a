// Package openapitest holds requests and answers of a real "waddle serve" against its
// OpenAPI description, with a validator that is kept out of the module of the command.
package openapitest
