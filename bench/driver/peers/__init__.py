"""The programs that the service is compared with: started here, each in the way its documentation recommends."""
