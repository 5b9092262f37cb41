"""Services as plain classes: `@command` and `@query` methods, called through typed proxies."""
